"""Several watermark keys at once: those that pictures are marked with, and those that only old pictures need.

One key of the ring marks any one picture; which one follows from its identifier, so that nobody can sort pictures by
key. A reader tries all of them and pays for that: n keys multiply the bound on the p-value by n, whichever is found,
and an unmarked picture takes n times as long. In outputs a key appears by its `key_id` only.

What somebody learns from N pictures marked with one key, who has this code but not the key:
- Without alignment little: every picture has its tile elsewhere, and the average fades.
- With alignment the pilots, which are the same in all pictures, and the pattern of the picture aligned to: measured
  with 64 photographs at 44 dB, the average then removed the mark from every other picture and forged one onto clean
  ones. With n keys an average holds one of them: the share fell to 1/2, 1/3, 1/6 with 2, 4, 8 keys. Sorting pictures
  by what they align with undoes that at the price of n times as many. Rotate keys before somebody has some dozens of
  pictures of one; a forgery is still told by its picture (`content`).
Who has a key can read, remove and forge its marks; rotation ends that for pictures marked later. A diffusion model or
a strong autoencoder that paints the picture anew can remove this mark, and any other so faint, without any key. A
missing mark therefore proves nothing.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from generator.errors import CannotCheckError, InputError
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import ALPHA, Detection, Pixels, Scheme, Search
from generator.marking.watermark.keys import KEY_FILE, WatermarkKey, load_key, load_or_create_key, replace_key

MOST_KEYS = 64
_RETIRED = "watermark.key.*.json"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a deployment.

    Args:
        marking: those that pictures are marked with, at least one.
        retired: those that are only read with.

    Raises:
        InputError: no key to mark with, one key twice, or more than MOST_KEYS.
    """

    marking: tuple[WatermarkKey, ...]
    retired: tuple[WatermarkKey, ...] = ()

    def __post_init__(self) -> None:
        ids = [key.key_id for key in self.keys]
        if not self.marking or len(set(ids)) < len(ids) or len(ids) > MOST_KEYS:
            raise InputError(
                f"watermark keys: got {len(self.marking)} to mark with and {len(self.retired)} retired ones, "
                f"{len(ids) - len(set(ids))} of them twice; expected one or more to mark with, {MOST_KEYS} in all"
            )

    @property
    def keys(self) -> tuple[WatermarkKey, ...]:
        """All keys, those in use first."""
        return self.marking + self.retired

    def choose(self, payload: AssetId) -> WatermarkKey:
        """The key that marks the picture of this identifier."""
        (word,) = self.marking[0].stream(f"keyring/{payload.hex}", 1)
        return self.marking[int(word % len(self.marking))]

    def get(self, key_id: str) -> WatermarkKey:
        """The key of that name.

        Raises:
            InputError: the ring has no such key.
        """
        for key in self.keys:
            if key.key_id == key_id:
                return key
        known = ", ".join(key.key_id for key in self.keys)
        raise InputError(f"watermark key {key_id!r}: unknown; this ring has {known}")

    def detect(
        self, scheme: Scheme, pixels: Pixels, *, search: Search = "full", alpha: float = ALPHA
    ) -> Detection:
        """Decide whether one picture carries a mark made with any of the keys.

        Args:
            scheme: how to read.
            pixels: as of `Scheme.detect`.
            search: as of `Scheme.detect`, for each key.
            alpha: level of the decision over all keys together, in (0, 1).

        Returns:
            The first detection that finds a mark, else the most significant one; its bound pays for all keys.

        Raises:
            InputError: as `Scheme.detect`.
        """
        count = len(self.keys)
        detections = []
        for key in self.keys:
            found = scheme.detect(pixels, key=key, search=search, alpha=alpha / count)
            detections.append(found)
            if found.found:
                break
        best = min(detections, key=lambda detection: (not detection.found, detection.log10_p))
        return replace(
            best, log10_p=min(0.0, best.log10_p + math.log10(count)), candidates=best.candidates * count
        )


def load_keyring(folder: Path) -> Keyring:
    """The key in use in `folder`, made on first use, and all that were in use before it.

    Raises:
        CannotCheckError, InputError: as `keys.load_or_create_key`.
    """
    load_or_create_key(folder)
    return read_keyring(Path(folder) / KEY_FILE)


def read_keyring(key_file: Path) -> Keyring:
    """The key of a file, and the retired ones beside it; nothing is made.

    Raises:
        CannotCheckError: a file cannot be read or is damaged.
    """
    retired = sorted(key_file.parent.glob(_RETIRED))
    try:
        current, *others = (load_key(path) for path in (key_file, *retired))
    except OSError as error:
        raise CannotCheckError(
            f"watermark key {error.filename}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    return Keyring((current,), tuple(key for key in others if key != current))


def rotate_key(folder: Path) -> Keyring:
    """Retire the key in use in `folder` and make a new one; marks of the old one stay readable with the ring.

    A crash in between leaves the old key in use, and another run completes the change.

    Raises:
        CannotCheckError, InputError: as `keys.load_or_create_key`.
    """
    path = Path(folder) / KEY_FILE
    current = load_or_create_key(folder)
    kept = path.with_name(_RETIRED.replace("*", current.key_id))
    try:
        if not kept.exists():
            os.link(path, kept)
        replace_key(path, WatermarkKey.generate())
    except OSError as error:
        raise CannotCheckError(
            f"watermark key {path}: {error.strerror or error}; give a folder that can be written"
        ) from error
    return load_keyring(folder)
