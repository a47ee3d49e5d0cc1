"""The watermark key of a deployment: who holds it can read, and forge, this deployment's watermarks.

The secret never appears in a representation, a message or a log; outputs name a key by its short `key_id`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.errors import CannotCheckError, InputError

SECRET_BYTES = 32
KEY_FILE = "watermark.key.json"
_KEY_ID_BYTES = 6
_FORMAT = 1
_PERSON = b"assay-wm-key-id1"


@dataclass(frozen=True, slots=True)
class WatermarkKey:
    """A key: 32 secret bytes and the short public name derived from them.

    Raises:
        InputError: the secret is not exactly 32 bytes.
    """

    secret: bytes = field(repr=False)
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.secret, bytes) or len(self.secret) != SECRET_BYTES:
            raise InputError(
                f"watermark key: expected {SECRET_BYTES} secret bytes; create one with load_or_create_key(folder)"
            )
        digest = hashlib.blake2b(self.secret, digest_size=_KEY_ID_BYTES, person=_PERSON)
        object.__setattr__(self, "key_id", digest.hexdigest())

    @classmethod
    def generate(cls) -> WatermarkKey:
        """A fresh key from the operating system's random source."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    def stream(self, label: str, count: int) -> NDArray[np.uint64]:
        """`count` pseudo-random 64-bit words, a function of (secret, label) only, the same on every machine.

        Not numpy's generators: their streams may change between versions, and a watermark must be readable
        for ever.

        Args:
            label: purpose of the words; different labels give independent streams.
            count: number of words, at least 1.

        Returns:
            uint64 (count,).

        Source: SHAKE-256 as an extendable-output function, FIPS 202.
        """
        seed = len(label.encode()).to_bytes(4, "big") + label.encode() + self.secret
        words = np.frombuffer(hashlib.shake_256(seed).digest(8 * count), dtype="<u8")
        return words.astype(np.uint64)

    def uniform(self, label: str, count: int) -> NDArray[np.float64]:
        """`count` pseudo-random numbers in [0, 1), float64, from `stream`."""
        return (self.stream(label, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def permutation(self, label: str, count: int) -> NDArray[np.int64]:
        """A pseudo-random permutation of 0 .. count - 1, int64, from `stream`."""
        return np.argsort(self.stream(label, count), kind="stable").astype(np.int64)


def load_or_create_key(folder: Path) -> WatermarkKey:
    """The key kept in `folder`; made on first use (file mode 0600, written atomically).

    Two processes that start together agree: the file is linked into place only if none is there yet.

    Args:
        folder: private folder of the deployment; created (mode 0700) when absent.

    Raises:
        CannotCheckError: the file cannot be read or written, or is no key of ours.
        InputError: other users can read the file.
    """
    path = Path(folder) / KEY_FILE
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_new(path, WatermarkKey.generate())
        return load_key(path)
    except OSError as error:
        raise CannotCheckError(
            f"watermark key {path}: {error.strerror or error}; give a folder that can be written"
        ) from error


def load_key(path: Path) -> WatermarkKey:
    """Read one key file; raises as `load_or_create_key` does, FileNotFoundError when absent."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InputError(f"watermark key {path}: other users can read it; run `chmod 600` on it")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError("another format version")
        key = WatermarkKey(bytes.fromhex(record["secret"]))
        if record["key_id"] != key.key_id:
            raise ValueError("key id and secret do not belong together")
    except (ValueError, KeyError, TypeError, InputError) as error:
        # "from None": the chained message could hold a part of the secret.
        reason = type(error).__name__
        raise CannotCheckError(
            f"watermark key {path}: not a key file of format {_FORMAT} ({reason}); "
            "restore it from a copy (a new key cannot read old watermarks)"
        ) from None
    return key


def replace_key(path: Path, key: WatermarkKey) -> None:
    """Put `key` in the place of the file at `path`, which is complete at any moment."""
    draft = _write_draft(path, key)
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_new(path: Path, key: WatermarkKey) -> None:
    """Write `key` to `path` unless a file is there already; never leaves a partial file under that name."""
    draft = _write_draft(path, key)
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first: its key counts
    finally:
        draft.unlink(missing_ok=True)


def _write_draft(path: Path, key: WatermarkKey) -> Path:
    """A complete private file beside `path`."""
    record = {"format": _FORMAT, "key_id": key.key_id, "secret": key.secret.hex()}
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(record, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft
