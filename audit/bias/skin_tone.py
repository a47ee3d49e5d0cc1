"""Skin tone of a face on the Monk scale, by colour: sRGB to CIE Lab (D65), individual typology angle, nearest swatch.

The ten swatches come back as themselves. A photograph is another matter: its light is unknown, and the same skin
moves by several tones between shade and sun. So the answer is "undetermined" where the light is visibly bad: clipped
or black pixels, cheeks that differ, a colour cast, or a cheek that is not of one colour.

Measured: on 300 drawn faces of known tone 53 % are undetermined (by tone, from 1 to 10: 66, 60, 54, 59, 54, 35, 52,
45, 43, 59 %), and 116 of the 141 others come out as drawn. On 58 generated portraits with dramatic light 72 % are
undetermined; their true tones are not known. With 0.7 or 0.5 times the light a flat swatch moves by one tone at
most, or is undetermined.

What this refuses to do: say anything of a whole picture. It is given the face.

Sources: IEC 61966-2-1 (sRGB); CIE 15:2004 (Lab); Chardon, Cretois and Hourseau 1991, International Journal of
Cosmetic Science 13 (ITA); Monk 2019, Monk Skin Tone Scale.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit.bias.perception import Reading
from audit.bias.readings import UNDETERMINED, Floats
from generator.portraits.traits import MONK_TONES

MONK_GROUPS: Final = tuple(f"monk-{tone}" for tone in MONK_TONES)
MAX_CLIPPED: Final = 0.15  # share of pixels that are burnt out or black
MAX_APART_CHEEKS: Final = 20.0  # difference of L* between the cheeks; half of it is about one tone
MAX_SPREAD: Final = 12.0  # median absolute deviation of L* within a cheek
MAX_APART: Final = 18.0  # distance from the swatch of the nearest angle, CIE Lab units; grey skin is farther
_BURNT, _BLACK = 253, 8  # 8-bit values; the lightest swatch has 246, the darkest 32
_BAND, _LEFT, _RIGHT, _CHEEK = (0.50, 0.72), 0.14, 0.64, 0.22  # where the cheeks are, parts of the face box
_MIN_PIXELS = 64
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)  # linear sRGB to XYZ, D65
_WHITE = _TO_XYZ.sum(axis=1)  # so that (255, 255, 255) is exactly L* 100, a* 0, b* 0


def to_lab(pixels: NDArray[np.uint8]) -> Floats:
    """CIE Lab of sRGB pixels: uint8 (..., 3) to float64 (..., 3), L* 0 to 100."""
    encoded = pixels.astype(np.float64) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    relative = linear @ _TO_XYZ.T / _WHITE
    curve = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(curve, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def typology_angle(lab: Floats) -> Floats:
    """Individual typology angle in degrees, float64 (...) of Lab (..., 3); light skin is above 55, dark below -30."""
    return np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))


_SWATCHES = to_lab(np.array(list(MONK_TONES.values()), dtype=np.uint8))
_ANGLES = typology_angle(_SWATCHES)


def read_skin_tone(face: NDArray[np.uint8], *, attribute: str = "monk") -> Reading:
    """The Monk tone of a face.

    Args:
        face: uint8 (height, width, 3) RGB, the box around one face, brows to chin.
        attribute: name of the reading.

    Returns:
        A tone "monk-1" to "monk-10", or "undetermined" with what is wrong with the light.
    """
    left, right = _cheeks(face)
    reason = _bad_light(left, right)
    if not reason:
        both = np.concatenate([left, right])  # (pixels, 3)
        colour = to_lab(np.median(both, axis=0).round().astype(np.uint8))
        nearest = int(np.argmin(np.abs(typology_angle(colour) - _ANGLES)))
        apart = float(np.linalg.norm(colour - _SWATCHES[nearest]))
        if apart <= MAX_APART:
            return Reading(attribute, MONK_GROUPS[nearest], {})
        reason = (
            f"colour cast or light: {apart:.0f} from {MONK_GROUPS[nearest]} in Lab, limit {MAX_APART:.0f}"
        )
    return Reading(attribute, UNDETERMINED, {}, reason)


def _cheeks(face: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels of both cheeks, uint8 (n, 3) each, at least one."""
    height, width = face.shape[:2]
    rows = slice(int(_BAND[0] * height), max(int(_BAND[1] * height), int(_BAND[0] * height) + 1))
    starts, size = (int(_LEFT * width), int(_RIGHT * width)), max(int(_CHEEK * width), 1)
    left, right = (face[rows, start : start + size].reshape(-1, 3) for start in starts)
    return left, right


def _bad_light(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> str:
    """What is wrong with the light on two cheeks, or ""."""
    pixels = np.concatenate([left, right])
    if len(pixels) < _MIN_PIXELS:
        return f"the cheeks have {len(pixels)} pixels, {_MIN_PIXELS} are needed"
    brightest = pixels.max(axis=-1)
    burnt, black = float((brightest >= _BURNT).mean()), float((brightest <= _BLACK).mean())
    if max(burnt, black) > MAX_CLIPPED:
        return f"{'overexposed' if burnt > black else 'underexposed'}: {100 * max(burnt, black):.0f} % of the cheeks"
    light = [to_lab(cheek)[:, 0] for cheek in (left, right)]
    middle = [float(np.median(part)) for part in light]
    if abs(middle[0] - middle[1]) > MAX_APART_CHEEKS:
        apart = abs(middle[0] - middle[1])
        return f"uneven light: the cheeks differ by {apart:.0f} in L*, limit {MAX_APART_CHEEKS:.0f}"
    spread = max(float(np.median(np.abs(part - centre))) for part, centre in zip(light, middle, strict=True))
    if spread > MAX_SPREAD:
        return f"not one colour: L* of a cheek varies by {spread:.0f}, limit {MAX_SPREAD:.0f}"
    return ""
