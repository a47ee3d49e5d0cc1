"""A picture and a key press on a plain terminal: no window, no mouse, works through ssh."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

END: Final = ""
"""What `read_key` returns when nothing more will come."""
_RESET = "\x1b[0m"


def format_picture(pixels: NDArray[np.uint8], *, columns: int = 64) -> str:
    """A picture in 24-bit colour, two pixels above each other in one character.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        columns: width in characters, at least 2; the height follows, at most the same number of lines.
    """
    height, width = pixels.shape[:2]
    scale = min(columns / width, 2 * columns / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 2) // 2 * 2)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    lines = []
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist(), strict=True):
        cells = (
            f"\x1b[38;2;{';'.join(map(str, top))};48;2;{';'.join(map(str, bottom))}m▀"
            for top, bottom in zip(upper, lower, strict=True)
        )
        lines.append("".join(cells) + _RESET)
    return "\n".join(lines)


def read_key() -> str:
    """One key from the terminal, lower case; from a pipe, the first letter of a line. END at the end of input."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1].lower() or "\n" if line else END
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        return sys.stdin.read(1).lower()
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(number, termios.TCSADRAIN, before)
