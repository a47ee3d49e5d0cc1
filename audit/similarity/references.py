"""Reference sets: the images that a trace compares with, and images that are known not to be among them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from audit.collection import load_pixels, walk_files
from audit.similarity.descriptors import Pixels
from generator.errors import CannotCheckError, InputError
from generator.portraits.corpus import Corpus, Rates

_LOG = logging.getLogger("assay")

READ_SIDE = 512  # px; larger reference files are reduced while they are read


class ReferenceSet(Protocol):
    """Named images, and foreign ones of the same kind."""

    @property
    def digest(self) -> str:
        """Changes whenever any image may change."""
        ...

    @property
    def description(self) -> str:
        """What the set is, in words."""
        ...

    @property
    def foreign_description(self) -> str:
        """What the foreign images are, in words."""
        ...

    def images(self, size: int) -> Iterator[tuple[str, Pixels]]:
        """Names and pixels, uint8 (height, width, 3) of about `size` px or larger, always in the same order."""
        ...

    def image(self, candidate_id: str, size: int) -> Pixels:
        """One image by name, its longer side at most `size` px."""
        ...

    def foreign(self, count: int, size: int) -> Iterator[Pixels]:
        """Up to `count` images of the same kind that are not in the set; none when there are none."""
        ...


@dataclass(frozen=True)
class CorpusReferences:
    """Drawings of a corpus that a generator was trained on.

    Attributes:
        corpus: its first `count` items are the set.
        count: number of reference drawings, at least 1.
        others: a corpus of the same distribution that trained nothing; its drawings are the null.
        note: what a reader should know of the set, in words.

    Raises:
        InputError: the corpus is smaller than `count`, or both corpora are one.
    """

    corpus: Corpus
    count: int
    others: Corpus
    note: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= len(self.corpus):
            raise InputError(
                f"reference drawings: got {self.count}, expected 1 to {len(self.corpus)}, the size of the corpus"
            )
        if self.corpus.seed == self.others.seed:
            raise InputError(f"null drawings: both corpora have seed {self.corpus.seed}; choose another seed")

    @property
    def digest(self) -> str:
        """Of both corpora and the count."""
        return f"{self.corpus.digest}/{self.count}/{self.others.digest}"

    @property
    def description(self) -> str:
        """In words."""
        first = f"the first {self.count} of {len(self.corpus)} drawings of the corpus with seed {self.corpus.seed}"
        return f"{first}; {self.note}" if self.note else first

    @property
    def foreign_description(self) -> str:
        """In words."""
        return f"drawings of the same distribution with seed {self.others.seed}, which trained nothing"

    def images(self, size: int) -> Iterator[tuple[str, Pixels]]:
        """Drawn on the fly; names are `drawing-SEED-NUMBER`."""
        for index in range(self.count):
            yield f"drawing-{self.corpus.seed}-{index:06d}", self.corpus.drawing(index, size)

    def image(self, candidate_id: str, size: int) -> Pixels:
        """Draw one reference again.

        Raises:
            InputError: no such reference.
        """
        head, _, number = candidate_id.rpartition("-")
        if head != f"drawing-{self.corpus.seed}" or not number.isdecimal() or int(number) >= self.count:
            raise InputError(f"candidate {candidate_id!r}: not among {self.description}")
        return self.corpus.drawing(int(number), size)

    def foreign(self, count: int, size: int) -> Iterator[Pixels]:
        """Drawings of the other corpus."""
        return (self.others.drawing(index, size) for index in range(min(count, len(self.others))))


TRAINING_SEED, TRAINING_SIZE = 2001, 24_000
"""First corpus that the embedded autoregressive model was trained on, see `generator.recipes`."""

_PARTIAL = "the generator's other training drawings, listed in its card, are not searched"


def embedded_references(*, count: int = 8000) -> CorpusReferences:
    """Training drawings of the embedded generator; those beyond `count` are not searched.

    Args:
        count: how many of them, from the first.
    """
    rates = Rates.default()
    others = Corpus(TRAINING_SEED + 500_000, rates, 100_000)
    return CorpusReferences(Corpus(TRAINING_SEED, rates, TRAINING_SIZE), count, others, _PARTIAL)


@dataclass(frozen=True)
class FolderReferences:
    """Images of a folder, and optionally a second folder of similar images that are known not to be in it.

    Files that are no readable images are left out, and how many is said in the log.

    Attributes:
        folder: of reference images, searched with its subfolders.
        others: folder of images for the null; None: each reference is searched without itself.

    Raises:
        InputError: a folder does not exist.
    """

    folder: Path
    others: Path | None = None

    def __post_init__(self) -> None:
        for folder in (self.folder, self.others):
            if folder is not None and not folder.is_dir():
                raise InputError(f"{folder}: no such folder; give a folder of images")

    @property
    def digest(self) -> str:
        """Of the paths, sizes and modification times of all files."""
        found = []
        for folder in (self.folder, self.others):
            for path in walk_files(folder) if folder is not None else ():
                info = path.stat()
                found.append([str(path), info.st_size, info.st_mtime_ns])
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    @property
    def description(self) -> str:
        """In words."""
        return f"the images of the folder {self.folder.name}"

    @property
    def foreign_description(self) -> str:
        """In words."""
        if self.others is not None:
            return (
                f"images of the folder {self.others.name}, which the user states are not in the reference set"
            )
        return "the reference images, each searched without itself"

    def images(self, size: int) -> Iterator[tuple[str, Pixels]]:
        """Read from disk, reduced to at most 512 px unless `size` is larger; names are paths within the folder."""
        yield from _read_all(self.folder, max(READ_SIDE, size))

    def image(self, candidate_id: str, size: int) -> Pixels:
        """Read one reference, reduced so that its longer side is at most `size`.

        Raises:
            InputError: the name leads out of the folder.
            CannotCheckError: it can no longer be read.
        """
        path = (self.folder / candidate_id).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise InputError(f"candidate {candidate_id!r}: not among {self.description}")
        return load_pixels(path, max_side=size)

    def foreign(self, count: int, size: int) -> Iterator[Pixels]:
        """Images of the second folder, in path order."""
        if self.others is not None:
            for _, pixels in islice(_read_all(self.others, max(READ_SIDE, size)), count):
                yield pixels


def _read_all(folder: Path, max_side: int) -> Iterator[tuple[str, Pixels]]:
    broken = []
    for path in walk_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            pixels = load_pixels(path, max_side=max_side)
        except CannotCheckError:
            broken.append(name)
            continue
        yield name, pixels
    if broken:
        _LOG.warning(
            "%s: %d files are no readable images, e.g. %s; they are left out", folder, len(broken), broken[0]
        )
