"""Where images come from: the embedded families, or an adapter, chosen by name.

    embedded                 the weights in the package, one of their families
    diffusers:MODEL          a diffusers pipeline: Hugging Face name or folder
    openai:URL               a server of POST /v1/images/generations; naming it is the permission to ask it
    folder:PATH              images made elsewhere, with a table of their prompts

Only the module of the source chosen is imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.errors import InputError
from generator.interface import Generator, Request

KINDS = ("embedded", "diffusers", "openai", "folder")
DEFAULT_FAMILY = "autoregressive"


@dataclass(frozen=True, slots=True)
class Source:
    """What makes the images, and how it is told to.

    Attributes:
        spec: "embedded", or KIND:TARGET.
        family: of the embedded generator; empty takes the default.
        options: `NAME=VALUE` texts for an adapter.
        guidance: how hard the prompt is followed; None leaves it to the generator.
        negative: what to move away from; empty for nothing.
        init: path of the picture to inpaint; empty for none.
        mask: path of its mask.

    Raises:
        InputError: an unknown kind, or settings that do not belong together.
    """

    spec: str = "embedded"
    family: str = ""
    options: tuple[str, ...] = ()
    guidance: float | None = None
    negative: str = ""
    init: str = ""
    mask: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.kind == "embedded") != (not self.target):
            raise InputError(
                f"generator {self.spec!r} is unknown; use embedded, diffusers:MODEL, openai:URL or folder:PATH"
            )
        if bool(self.init) != bool(self.mask):
            raise InputError("--init and --mask belong together: the picture, and what of it is drawn anew")
        if self.kind == "embedded" and self.options:
            raise InputError(
                f"--option {self.options[0]}: the embedded generator takes none; name a --generator"
            )
        if self.kind == "embedded" and self.negative and self.guidance in (None, 1.0):
            raise InputError("--negative acts through guidance: give --guidance above 1, such as 2")
        if self.kind != "embedded" and (self.family or self.mask):
            raise InputError(
                f"--family, --init and --mask are for the embedded generator, not for {self.spec}"
            )
        if self.kind == "folder" and (self.negative or self.guidance is not None):
            raise InputError(f"{self.spec}: these images are made; --guidance and --negative come too late")

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return self.spec.partition(":")[0]

    @property
    def target(self) -> str:
        """Model, address or path of an adapter; empty for the embedded generator."""
        return self.spec.partition(":")[2]

    @property
    def is_foreign(self) -> bool:
        """Whether its images arrive as files of another system."""
        return self.kind in {"openai", "folder"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Source:
        """Restore a source from `dataclasses.asdict`, perhaps through JSON."""
        return cls(**{**data, "options": tuple(data["options"])})


def _nothing_unknown(_text: str) -> tuple[str, ...]:
    return ()


def _any_length(_text: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Loaded:
    """A source that is ready.

    Attributes:
        generator: makes the images.
        in_generation_mark: whether the noise that its images come from is keyed. Never where the sampler is not ours.
        requests: what was asked, where the source says so itself (a folder); otherwise empty.
        check_prompt: raises InputError for a prompt that would not be read whole.
        unknown_words: words of a prompt that the generator does not know.
    """

    generator: Generator
    in_generation_mark: bool
    requests: tuple[Request, ...] = ()
    check_prompt: Callable[[str], None] = _any_length
    unknown_words: Callable[[str], tuple[str, ...]] = _nothing_unknown


def load_source(source: Source, *, store: Path, run_id: str, online: bool = False) -> Loaded:
    """Get a source ready.

    Args:
        source: which one.
        store: folder in which a hosted service's answers are kept.
        run_id: names the run to a hosted service.
        online: allow a model to be downloaded.

    Raises:
        InputError: it cannot be used as asked.
        WeightsError: the embedded weights are missing or damaged.
        CannotCheckError: a library is missing, or a model cannot be loaded.
    """
    if source.kind == "embedded":
        return _load_embedded(source)
    if source.kind == "diffusers":
        from generator.adapters.diffusers import DiffusersGenerator

        pipeline = DiffusersGenerator(
            source.target,
            source.options,
            guidance=source.guidance,
            negative=source.negative,
            online=online,
        )
        return Loaded(pipeline, in_generation_mark=True, check_prompt=pipeline.check_prompt)
    if source.kind == "openai":
        from generator.adapters.openai import OpenAIGenerator

        server = OpenAIGenerator(
            source.target,
            source.options,
            store=store,
            run_id=run_id,
            guidance=source.guidance,
            negative=source.negative,
        )
        return Loaded(server, in_generation_mark=False)
    from generator.adapters.folder import FolderGenerator

    folder = FolderGenerator(Path(source.target), source.options)
    return Loaded(folder, in_generation_mark=False, requests=folder.requests)


def _load_embedded(source: Source) -> Loaded:
    from generator.embedded import EmbeddedGenerator, load_tokenizer
    from generator.families.interface import Control
    from generator.inpainting import kept_tokens
    from generator.weights import load_weights

    keep = None
    if source.mask:
        tokenizer = load_tokenizer(load_weights("tokenizer", family="tokenizer"))
        keep = kept_tokens(Path(source.init), Path(source.mask), tokenizer=tokenizer)
    control = Control(
        guidance=1.0 if source.guidance is None else source.guidance,
        negative=(source.negative,) if source.negative else None,
        keep=keep,
    )
    generator = EmbeddedGenerator.load(family=source.family or DEFAULT_FAMILY, control=control)

    return Loaded(
        generator,
        in_generation_mark=True,
        check_prompt=generator.check_prompt,
        unknown_words=generator.unknown_words,
    )


def source_digests(source: Source) -> dict[str, str]:
    """Digests of the files that a source names: the picture and mask to inpaint, and the table of a folder.

    Raises:
        InputError: a file cannot be read.
    """
    files = {"init": source.init, "mask": source.mask}
    if source.kind == "folder":
        from generator.adapters.folder import FolderGenerator

        files["table"] = str(FolderGenerator(Path(source.target), source.options).table)
    return {name: digest_file(Path(path)) for name, path in files.items() if path}


def digest_file(path: Path) -> str:
    """`sha256:` digest of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
