"""Charts of whole distributions: ridges of prompts by group, bars on the Monk scale. Numbers in, escaped SVG out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audit.report.svg import WIDTH, line, svg, text

BANDWIDTH = 0.05  # of the kernel, in shares
_LEFT, _TOP, _RIDGE, _TALL = 150, 26, 54, 44
_GRID = np.linspace(0.0, 1.0, 121)


def ridge_chart(
    shares: Mapping[str, NDArray[np.float64]], *, title: str, reference: Mapping[str, float] | None = None
) -> str:
    """One ridge a group: how the shares of single prompts are spread, each prompt a tick below it.

    Args:
        shares: group -> float64 (prompts,), 0 to 1, at least one each.
        title: said to screen readers.
        reference: group -> share to compare with.
    """
    right, height = WIDTH - 20, _TOP + _RIDGE * len(shares) + 22
    curves = {group: density(values, _GRID) for group, values in shares.items()}
    most = max(float(curve.max()) for curve in curves.values())

    def place(share: float) -> float:
        return _LEFT + (right - _LEFT) * share

    parts, described = [], []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(line(place(tick), _TOP - 8, place(tick), height - 20, "grid"))
        parts.append(text(place(tick), 13, f"{100 * tick:g} %", css="tick", anchor="middle"))
    for row, (group, curve) in enumerate(curves.items()):
        base = _TOP + _RIDGE * (row + 1) - 8
        path = " ".join(
            f"{place(float(x)):.1f},{base - _TALL * float(y) / most:.1f}"
            for x, y in zip(_GRID, curve, strict=True)
        )
        parts.append(f'<polygon points="{place(0):.1f},{base} {path} {place(1):.1f},{base}" class="ridge"/>')
        parts += [
            line(place(float(share)), base, place(float(share)), base + 6, "axis") for share in shares[group]
        ]
        parts.append(text(_LEFT - 10, base - 4, group, anchor="end", limit=22))
        if reference and group in reference:
            parts.append(
                line(place(reference[group]), base - _TALL, place(reference[group]), base + 6, "threshold")
            )
        low, middle, high = np.quantile(shares[group], [0.0, 0.5, 1.0])
        described.append(
            f"{group}: {100 * low:.0f} to {100 * high:.0f} %, half of the prompts below {100 * middle:.0f} %"
        )
    return svg(parts, height=height, title=title, description="; ".join(described))


def density(values: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian kernel density of shares on a grid of shares, not normalised; what would leave 0 to 1 is reflected."""
    centres = np.concatenate([values, -values, 2 - values])
    steps = (grid[:, None] - centres[None]) / BANDWIDTH
    return np.asarray(np.exp(-0.5 * steps**2).sum(axis=1) / len(values), dtype=np.float64)


def tone_chart(
    counts: Mapping[str, int], *, colours: Mapping[str, tuple[int, int, int]], undetermined: int, title: str
) -> str:
    """One bar a tone in the tone's own colour, its name and number beside it, and one for undetermined faces.

    Args:
        counts: tone -> faces.
        colours: tone -> sRGB.
        undetermined: faces without a tone.
        title: said to screen readers.
    """
    rows: Sequence[tuple[str, int]] = [*counts.items(), ("undetermined", undetermined)]
    total, most = max(sum(counts.values()) + undetermined, 1), max([1, undetermined, *counts.values()])
    parts = []
    for index, (name, number) in enumerate(rows):
        y, width = 6 + 24 * index, (WIDTH - _LEFT - 110) * number / most
        fill = f'fill="rgb{colours[name]}" ' if name in colours else ""
        css = "swatch" if name in colours else "plain"
        parts.append(text(_LEFT - 10, y + 13, name, anchor="end"))
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="{max(width, 1):.1f}" height="18" rx="2" {fill}class="{css}"/>'
        )
        said = f"{number}  ({100 * number / total:.1f} %)"
        parts.append(text(_LEFT + max(width, 1) + 8, y + 13, said, css="number"))
    described = "; ".join(f"{name}: {number} of {total}" for name, number in rows)
    return svg(parts, height=12 + 24 * len(rows), title=title, description=described)
