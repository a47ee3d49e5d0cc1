"""A pen over Pillow that draws in a local coordinate system of 256 units, at any resolution."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageDraw

from generator.portraits.traits import Colour


class Pen:
    """Draws shapes given in local units; knows where its origin is, its scale, and whether it is mirrored.

    Args:
        canvas: what is drawn on.
        scale: canvas pixels per unit.
        origin: canvas position of the local (0, 0), in canvas pixels.
        mirror: 1, or -1 to flip left and right.
    """

    __slots__ = ("_canvas", "_mirror", "_scale", "_x", "_y")

    def __init__(
        self,
        canvas: ImageDraw.ImageDraw,
        scale: float,
        *,
        origin: tuple[float, float] = (0.0, 0.0),
        mirror: int = 1,
    ) -> None:
        self._canvas = canvas
        self._scale = scale
        self._x, self._y = origin
        self._mirror = mirror

    def at(self, x: float, y: float, *, scale: float = 1.0, mirror: int = 1) -> Pen:
        """A pen whose origin is this pen's (x, y), optionally larger or mirrored."""
        origin = (self._x + self._mirror * x * self._scale, self._y + y * self._scale)
        return Pen(self._canvas, self._scale * scale, origin=origin, mirror=self._mirror * mirror)

    def _bounds(self, x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        scale = self._scale
        centre_x, centre_y = self._x + self._mirror * x * scale, self._y + y * scale
        rx, ry = rx * scale, ry * scale
        return centre_x - rx, centre_y - ry, centre_x + rx, centre_y + ry

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """Filled ellipse around (x, y)."""
        self._canvas.ellipse(self._bounds(x, y, rx, ry), fill)

    def ring(self, x: float, y: float, rx: float, ry: float, *, width: float, fill: Colour) -> None:
        """Outline of an ellipse, `width` units inwards."""
        self._canvas.ellipse(self._bounds(x, y, rx, ry), None, fill, max(1, round(width * self._scale)))

    def chord(
        self, x: float, y: float, rx: float, ry: float, *, start: float, end: float, fill: Colour
    ) -> None:
        """Part of a filled ellipse cut by a straight line; degrees run clockwise from the right."""
        if self._mirror < 0:
            start, end = 180.0 - end, 180.0 - start
        self._canvas.chord(self._bounds(x, y, rx, ry), start, end, fill)

    def arc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        *,
        start: float,
        end: float,
        width: float,
        fill: Colour,
    ) -> None:
        """Part of the outline of an ellipse; degrees run clockwise from the right."""
        if self._mirror < 0:
            start, end = 180.0 - end, 180.0 - start
        self._canvas.arc(self._bounds(x, y, rx, ry), start, end, fill, max(1, round(width * self._scale)))

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Filled rectangle."""
        half_width, half_height = (right - left) / 2, (bottom - top) / 2
        self._canvas.rectangle(
            self._bounds(left + half_width, top + half_height, half_width, half_height), fill
        )

    def rounded(
        self, left: float, top: float, right: float, bottom: float, *, radius: float, fill: Colour
    ) -> None:
        """Filled rectangle with round corners."""
        half_width, half_height = (right - left) / 2, (bottom - top) / 2
        bounds = self._bounds(left + half_width, top + half_height, half_width, half_height)
        self._canvas.rounded_rectangle(bounds, radius * self._scale, fill)

    def polygon(self, points: Sequence[tuple[float, float]], fill: Colour) -> None:
        """Filled polygon."""
        self._canvas.polygon(self._place(points), fill)

    def line(self, points: Sequence[tuple[float, float]], width: float, fill: Colour) -> None:
        """Polyline of `width` units."""
        self._canvas.line(self._place(points), fill, max(1, round(width * self._scale)))

    def _place(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        step_x, step_y = self._mirror * self._scale, self._scale
        return [(self._x + step_x * x, self._y + step_y * y) for x, y in points]
