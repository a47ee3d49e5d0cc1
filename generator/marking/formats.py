"""Which kind of file it is, from its bytes; from its name only where the bytes leave it open. Decodes nothing."""

from __future__ import annotations

from pathlib import Path

from generator.errors import CannotCheckError, InputError

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".dng": "image/x-adobe-dng",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jxl": "image/jxl",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".zip": "application/x-zip",
    ".epub": "application/epub+zip",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".odg": "application/vnd.oasis.opendocument.graphics",
}
"""File name suffix -> media type, of everything that can be signed."""

_HEAD = 4_096  # bytes; an SVG names itself within them
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4V ": "video/x-m4v",
}
# Containers that several kinds of file share: the name says which, else the first
_FAMILIES = {
    "image/tiff": ("image/tiff", "image/x-adobe-dng"),
    "image/heif": ("image/heif", "image/heic", "image/avif"),
    "video/mp4": ("video/mp4", "video/x-m4v", "audio/mp4"),
    "application/x-zip": tuple(
        kind for kind in TYPES.values() if "zip" in kind or "officedocument" in kind or "opendocument" in kind
    ),
}


def media_type(path: Path) -> str:
    """The media type of a file that can be signed.

    Raises:
        CannotCheckError: it cannot be read.
        InputError: it is empty, or of no kind that can be signed; an MP3 without a tag is known by its name only.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise CannotCheckError(
            f"{path}: cannot be read ({error.strerror}); check path and permissions"
        ) from error
    if not head:
        raise InputError(f"{path}: the file is empty (0 bytes)")
    named, found = TYPES.get(path.suffix.lower(), ""), _sniff(head)
    if named in _FAMILIES.get(found, ()):
        return named
    if found or (named == "audio/mpeg" and head[0] == 0xFF):
        return found or named
    raise InputError(
        f"{path}: neither its content nor {path.suffix or 'its name without suffix'!r} is of a kind that can be "
        f"signed; known are {', '.join(TYPES)}. `assay mark --sidecar` signs a file of any kind beside itself"
    )


def suffix_of(mime: str) -> str:
    """The usual suffix of a media type of `TYPES`."""
    return next(suffix for suffix, kind in TYPES.items() if kind == mime)


def _sniff(head: bytes) -> str:
    """Media type by magic numbers; empty when there is none known."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return "image/tiff"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"PK\x03\x04":
        return "application/x-zip"
    return "image/svg+xml" if b"<svg" in head else ""
