"""Skin tone of a face on the Monk scale, by colour: sRGB to CIE Lab (D65), individual typology angle, nearest swatch.

The ten swatches come back as themselves. A photograph is another matter: its light is unknown, and the same skin
moves by several tones between shade and sun. So the answer is "undetermined" where the light is visibly bad: clipped
or black pixels, cheeks that differ, a colour cast, or a cheek that is not mostly of one colour.

A cheek is rarely skin alone: frames of glasses, hair or a beard reach into it. The tone is that of its largest part
of one colour, if that is nearly half of it, and both cheeks must agree.

Measured (`benchmarks.bias`): of 600 drawn faces of known tone, every trait in equal shares and the box by
`people.load_detector("centre")`, 31 % are undetermined (by tone, from 1 to 10: 22, 32, 26, 32, 43, 29, 26, 40, 28,
34 %), most of them for glasses; 92 % of the others come out as drawn. With 0.7 or 0.5 times the light a flat swatch
moves by one tone at most, or is undetermined.

What this refuses to do: say anything of a whole picture. It is given the face.

Sources: IEC 61966-2-1 (sRGB); CIE 15:2004 (Lab); Chardon, Cretois and Hourseau 1991, International Journal of
Cosmetic Science 13 (ITA); Monk 2019, Monk Skin Tone Scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit.bias.perception import Reading
from audit.bias.readings import UNDETERMINED, Floats
from generator.portraits.traits import MONK_TONES

MONK_GROUPS: Final = tuple(f"monk-{tone}" for tone in MONK_TONES)
MAX_CLIPPED: Final = 0.15  # share of pixels that are burnt out or black
MAX_APART_CHEEKS: Final = 20.0  # difference of L* between the cheeks; half of it is about one tone
WINDOW: Final = 22.0  # range of L* that counts as one colour; light falls off over a cheek
MIN_SHARE: Final = 0.45  # of a cheek's pixels that are of one colour
MAX_APART: Final = 18.0  # distance from the swatch of the nearest angle, CIE Lab units; grey skin is farther
_BURNT, _BLACK = 253, 8  # 8-bit values; the lightest swatch has 246, the darkest 32
_BAND, _LEFT, _RIGHT, _CHEEK = (0.48, 0.62), 0.14, 0.64, 0.22  # where the cheeks are, parts of the face box
_MIN_PIXELS = 48
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
    cheeks = _cheeks(face)
    reason = _clipped(np.concatenate(cheeks))
    if reason:
        return Reading(attribute, UNDETERMINED, {}, reason)
    skin = [_of_one_colour(cheek) for cheek in cheeks]
    reason = _bad_light(cheeks, skin)
    if not reason:
        colour = to_lab(np.median(np.concatenate(skin), axis=0).round().astype(np.uint8))
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


def _clipped(pixels: NDArray[np.uint8]) -> str:
    """Whether there are too few pixels, or too many without a colour; "" when there are enough."""
    if len(pixels) < _MIN_PIXELS:
        return f"the cheeks have {len(pixels)} pixels, {_MIN_PIXELS} are needed"
    brightest = pixels.max(axis=-1)
    burnt, black = float((brightest >= _BURNT).mean()), float((brightest <= _BLACK).mean())
    if max(burnt, black) > MAX_CLIPPED:
        return f"{'overexposed' if burnt > black else 'underexposed'}: {100 * max(burnt, black):.0f} % of the cheeks"
    return ""


def _of_one_colour(cheek: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest part of a cheek's pixels (n, 3) of one L*, within `WINDOW`: skin beside a frame, hair or beard."""
    light = to_lab(cheek)[:, 0]
    ordered = np.sort(light)
    held = np.searchsorted(ordered, ordered + WINDOW, side="right") - np.arange(len(ordered))
    start = ordered[int(np.argmax(held))]
    return np.asarray(cheek[(light >= start) & (light <= start + WINDOW)])


def _bad_light(cheeks: Sequence[NDArray[np.uint8]], skin: Sequence[NDArray[np.uint8]]) -> str:
    """What is wrong with two cheeks, or "": too little of one colour, or sides that differ."""
    share = min(len(part) / len(cheek) for part, cheek in zip(skin, cheeks, strict=True))
    if share < MIN_SHARE:
        return f"not one colour: {100 * share:.0f} % of a cheek, {100 * MIN_SHARE:.0f} % are needed"
    middle = [float(np.median(to_lab(part)[:, 0])) for part in skin]
    apart = abs(middle[0] - middle[1])
    if apart > MAX_APART_CHEEKS:
        return f"uneven light: the cheeks differ by {apart:.0f} in L*, limit {MAX_APART_CHEEKS:.0f}"
    return ""
