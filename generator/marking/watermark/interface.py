"""What every watermark scheme offers: embed an identifier into pixels, detect it with a proven p-value.

The decision rule is the same for all schemes and is not tunable per picture: a watermark is found if and
only if the bound on the p-value is at most alpha. A scheme without a valid bound must not claim one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from generator.errors import InputError
from generator.marking.payload import AssetId
from generator.marking.watermark.keys import WatermarkKey

Pixels = NDArray[np.uint8]
Search = Literal["quick", "full"]

PSNR_RANGE = (30.0, 60.0)  # dB
ALPHA = 1e-6
"""Default level of the decision: at most one unmarked picture in a million is called marked."""


class InsufficientCapacityError(InputError):
    """The picture cannot carry the identifier (too small, too flat, saturated); it was left as it was."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """A marked picture.

    Args:
        pixels: uint8 (H, W, 3), the marked picture.
        payload: the identifier it carries.
        psnr: measured peak signal-to-noise ratio against the input, dB, over all three channels.
        log10_p: bound on the p-value at which `detect` would find the mark in these very pixels, in log10;
            how much margin there is before the picture travels.
        scheme: name of the scheme.
        key_id: name of the key.
        margins: disturbance -> -log10 of the bound after it; only from a `margin.MarginController`.
    """

    pixels: Pixels
    payload: AssetId
    psnr: float
    log10_p: float
    scheme: str
    key_id: str
    margins: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Geometry:
    """What happened to the picture since it was marked, as far as the mark tells.

    Args:
        scale: size of the mark's lattice in the picture, relative to that of a picture freshly marked at the
            present size. Below 768 px this is the resize factor; above, a crop alone raises it also.
        rotation: degrees, -180 to 180, counter-clockwise as seen on the screen.
        flipped: mirrored left to right before the rotation.
        aspect: stretch of the picture's width relative to its height, before the rotation.
        shift: (rows, columns), where the lattice's origin lies in the picture, in px, modulo one tile.
        tile: side of one tile in the picture, px.
        matrix: row-major 2 x 2 map from lattice steps (row, column) to px (row, column).
    """

    scale: float
    rotation: float
    flipped: bool
    aspect: float
    shift: tuple[float, float]
    tile: float
    matrix: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detection:
    """The decision over one picture.

    Args:
        found: True if and only if the p-value bound is at most alpha.
        payload: the identifier; None when not found, and also when a mark is there but too weak to read the
            identifier for sure (the reason says so).
        log10_p: log10 of the bound on the p-value, -inf < log10_p <= 0; 0.0 when nothing could be decoded.
        candidates: number of readings (geometries times lengths of payload) that the union bound pays for, fixed
            before the picture is seen.
        log10_odds: log10 of the likelihood ratio of the identifier to the next best one, under Gaussian noise.
        geometry: geometry of the best candidate when found, else None.
        reason: one plain sentence.
        scheme: name of the scheme.
        key_id: name of the key.
    """

    found: bool
    payload: AssetId | None
    log10_p: float
    candidates: int
    log10_odds: float
    geometry: Geometry | None
    reason: str
    scheme: str
    key_id: str


class Reader(Protocol):
    """One technique that is read from pixels under a key, with a p-value that holds for any picture.

    Implementations hold no state that depends on pictures. Some techniques also mark finished pixels (`Scheme`);
    others leave their mark only while a picture is made, and are read here alone.
    """

    @property
    def name(self) -> str:
        """Name of the technique, also the `alg` of the C2PA soft binding."""

    @property
    def min_side(self) -> int:
        """Shortest side of a picture that can carry the mark, px."""

    def detect(
        self, pixels: Pixels, *, key: WatermarkKey, search: Search = "full", alpha: float = ALPHA
    ) -> Detection:
        """Decide whether one picture carries a mark made with `key`.

        Args:
            pixels: uint8 (H, W, 3), RGB.
            key: the deployment's key.
            search: "quick" tries the unchanged geometry and a few exact ones, "full" searches.
            alpha: level of the decision, in (0, 1).

        Raises:
            InputError: not such an array, or another option out of range. A picture that is too small to
                carry a mark is not an error: it is not found, with that reason.
        """


class Scheme(Reader, Protocol):
    """A technique that also marks finished pixels."""

    @property
    def capacity(self) -> int:
        """Longest payload in bits; 0: it only tells that there is a mark."""

    def embed(
        self,
        pixels: Pixels,
        payload: AssetId,
        *,
        key: WatermarkKey,
        psnr: float | None = None,
        nonce: bytes = b"",
    ) -> Embedding:
        """Mark one picture; the same arguments always give the same pixels.

        Args:
            pixels: uint8 (H, W, 3), RGB; not changed.
            payload: the identifier to carry.
            key: the deployment's key.
            psnr: least peak signal-to-noise ratio, dB; None for the scheme's default at this size.
            nonce: further variation of what may vary per picture (for example the carrier's shift).

        Raises:
            InputError: not such an array, or psnr out of range.
            InsufficientCapacityError: the picture cannot carry the identifier; the message says why.
        """


def check_payload(payload: AssetId, *, capacity: int) -> None:
    """Raise InputError if an identifier is longer than a scheme's `capacity`, bits."""
    if payload.bits > capacity:
        raise InputError(
            f"asset id of {payload.bits} bits: the scheme carries at most {capacity}; use a shorter identifier"
        )


def check_pixels(pixels: Any) -> Pixels:  # noqa: ANN401 - refusing what is no array is the purpose
    """Return `pixels` if it is a picture: uint8 (H, W, 3) with H, W >= 1; else raise InputError saying why."""
    if not isinstance(pixels, np.ndarray):
        raise InputError(f"pixels: got {type(pixels).__name__}, expected a numpy array uint8 (H, W, 3)")
    if pixels.dtype != np.uint8:
        raise InputError(
            f"pixels: got dtype {pixels.dtype}, expected uint8 (0 to 255); "
            "scale and round floating-point pictures first"
        )
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise InputError(
            f"pixels: got shape {pixels.shape}, expected (H, W, 3) in RGB; repeat grey three times"
        )
    if pixels.size == 0:
        raise InputError(f"pixels: empty picture, shape {pixels.shape}; expected at least 1 x 1")
    return pixels


def check_psnr(psnr: float) -> float:
    """Return a strength, dB, if it is one; else raise InputError."""
    low, high = PSNR_RANGE
    if not low <= psnr <= high:  # also refuses NaN
        raise InputError(f"PSNR {psnr} dB: expected {low:g} to {high:g} dB")
    return float(psnr)


def check_room(pixels: Pixels, *, least: int) -> None:
    """Raise InsufficientCapacityError if a picture's short side is below `least`, px."""
    height, width = pixels.shape[:2]
    if min(height, width) < least:
        raise InsufficientCapacityError(
            f"insufficient capacity: picture of {width} x {height} px, expected at least {least} px on the short "
            "side; enlarge it before marking"
        )


def check_question(search: str, alpha: float) -> None:
    """Raise InputError unless `search` is a `Search` and `alpha` lies in (0, 1)."""
    if search not in get_args(Search):
        raise InputError(f"search {search!r}: expected one of {', '.join(get_args(Search))}")
    if not 0 < alpha < 1:
        raise InputError(f"alpha {alpha}: expected a probability between 0 and 1")


def too_small(pixels: Pixels, *, least: int) -> str:
    """The reason not to look into a picture whose short side is below `least`, px; "" when it is not."""
    height, width = pixels.shape[:2]
    if min(height, width) >= least:
        return ""
    return (
        f"The picture ({width} x {height} px) is too small to carry this watermark; at least {least} px on the "
        "short side are needed."
    )
