"""The visible label: readable, inside its corner, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from generator.errors import InputError
from generator.marking.visible import draw_label


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("side", [128, 1024])
def test_contrast_does_not_depend_on_the_picture(grey: int, side: int) -> None:
    before = np.full((side, side, 3), grey, np.uint8)
    after = draw_label(before, "AI-generated")
    assert (before == grey).all()
    rows, columns = (np.flatnonzero((after != grey).any(axes)) for axes in ((1, 2), (0, 2)))
    box = after[rows[0] :, : columns[-1] + 1]
    assert rows[-1] == side - 1 or grey == 0
    assert len(rows) < max(40, side * 0.12)  # a line, not a banner
    assert box.min() == 0
    assert box.max() > 240  # letters, smoothed at their edges
    light = (box > 128).all(-1)
    assert 0.02 < light.mean() < 0.5  # letters on a ground, not the other way round
    assert (after[: rows[0]] == grey).all()


def test_what_cannot_be_drawn_is_refused() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    for text in ("", "  ", "two\nlines"):
        with pytest.raises(InputError, match="one line"):
            draw_label(pixels, text)
    with pytest.raises(InputError, match="shorten it"):
        draw_label(pixels, "a very long label that cannot fit")
