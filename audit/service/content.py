"""What a client sent, as files in memory: nothing of it ever reaches a disk."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from audit.service.guard import Refusal
from audit.service.settings import Limits


@dataclass(frozen=True, slots=True)
class Upload:
    """One file.

    Attributes:
        name: as the client calls it; hostile.
        data: its bytes.
    """

    name: str
    data: bytes = field(repr=False)


class _InMemory(MultiPartParser):
    """Starlette's parser, which else writes parts above 1 MB into temporary files."""

    spool_max_size = 1 << 62


async def parse_multipart(body: bytes, headers: Headers, limits: Limits) -> list[Upload]:
    """The files of a multipart form.

    Raises:
        Refusal: 400 when the form is malformed, holds no file or too many.
    """

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(
        headers, stream(), max_files=limits.files, max_fields=limits.files, max_part_size=limits.json
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        said = getattr(error, "message", "") or "the boundary is missing or wrong"
        raise Refusal(400, "form-malformed", f"The multipart form cannot be read: {said}") from error
    files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
    uploads = [Upload(part.filename or "upload", await part.read()) for part in files]
    await form.close()
    if not uploads:
        raise Refusal(400, "file-missing", "The form holds no file; send one as form field `file`.")
    return uploads


def check_pixels_bound(data: bytes, limits: Limits) -> None:
    """Refuse a picture that would take too much memory once decoded.

    Raises:
        Refusal: 413.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = limits.pixels + 1
    except (OSError, ValueError, SyntaxError, EOFError):
        return  # not a picture that can be decoded: it takes no memory either
    if pixels > limits.pixels:
        raise Refusal(413, "picture-too-large", f"The picture has more than {limits.pixels:,} pixels.")


@contextlib.contextmanager
def held_file(data: bytes) -> Iterator[Path]:
    """A path under which the bytes can be opened: in memory on Linux, elsewhere a private file that is removed."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("assay", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(data)
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(data)
        yield path
