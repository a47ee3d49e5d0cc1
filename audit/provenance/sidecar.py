"""A manifest store that lies beside its file: NAME.EXT.c2pa as `assay mark --sidecar` writes it, or NAME.c2pa.

Source: C2PA 2.4 section 11.4 (external manifests).
"""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".c2pa"  # as in generator.marking.sign_file, which a verifier does not import
_MAX_BYTES = 64 << 20


def read_sidecar(path: Path) -> bytes | None:
    """The store beside a file; None when there is none that can be read."""
    if path.suffix.lower() == SUFFIX:
        return None
    for beside in (path.with_name(path.name + SUFFIX), path.with_suffix(SUFFIX)):
        try:
            if beside.is_file() and beside.stat().st_size <= _MAX_BYTES:
                return beside.read_bytes()
        except OSError:
            continue
    return None
