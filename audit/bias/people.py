"""How many people a picture shows, by their faces, and where the face is when there is one.

Nobody, several and a face that cannot be found are outcomes with a name; no picture is dropped because of them.
Detectors: `dlib` (HOG, ships in its wheel; the extra `faces`), a YuNet model file (`*.onnx`, through OpenCV), or
`centre`, which takes the middle of every picture for the face: only for portraits that are framed alike.

Measured at 512 px: dlib finds exactly one face in 232 of the 240 generated portraits of the development data, none
in 7 and two in 1. It is a frontal detector: profiles, small, tilted and covered faces are missed, and drawings too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from audit.bias.perception import Reading
from generator.errors import InputError, WeightsError

CENTRE: Final = "centre"
DLIB: Final = "dlib"
_CENTRE_PART = 0.35  # of the sides, for `centre`: brows to chin of a head-and-shoulders portrait
_MARGIN = 0.3  # of the face box on each side: chin, hair and ears are read too
_SCORE = 0.8  # least confidence of YuNet; its own default is 0.9, its demo's 0.8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Face:
    """A face's box in pixels; it may reach over the edge of the picture."""

    left: int
    top: int
    right: int
    bottom: int

    def crop(self, picture: Pixels, *, margin: float = 0.0) -> Pixels:
        """The part of a picture that is the face, with a margin as a part of its sides; at least one pixel."""
        height, width = picture.shape[:2]
        across, down = round(margin * (self.right - self.left)), round(margin * (self.bottom - self.top))
        left, top = min(max(self.left - across, 0), width - 1), min(max(self.top - down, 0), height - 1)
        right, bottom = min(self.right + across, width), min(self.bottom + down, height)
        return picture[top : max(bottom, top + 1), left : max(right, left + 1)]


Detector = Callable[[Pixels], Sequence[Face]]


def load_detector(name: str) -> Detector:
    """A face detector.

    Args:
        name: "dlib", "centre", or the path of a YuNet model.

    Raises:
        InputError: the name is unknown, or dlib is not installed.
        WeightsError: the model file is no YuNet model.
    """
    if name == CENTRE:
        return _find_centre
    if name == DLIB:
        return _load_dlib()
    path = Path(name)
    if path.suffix != ".onnx" or not path.is_file():
        raise InputError(f"--faces {name}: expected {DLIB}, {CENTRE} or the path of a YuNet model (*.onnx)")
    return _load_yunet(path)


def _find_centre(picture: Pixels) -> Sequence[Face]:
    height, width = picture.shape[:2]
    across, down = round(width * _CENTRE_PART / 2), round(height * _CENTRE_PART / 2)
    return [Face(width // 2 - across, height // 2 - down, width // 2 + across, height // 2 + down)]


def _load_dlib() -> Detector:
    try:
        import dlib
    except ImportError as error:
        raise InputError(
            "--faces dlib: dlib is not installed; run `pip install assay-audit[faces]`"
        ) from error
    detect = dlib.get_frontal_face_detector()

    def find(picture: Pixels) -> Sequence[Face]:
        return [Face(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in detect(picture, 0)]

    return find


def _load_yunet(path: Path) -> Detector:
    try:
        detector = cv2.FaceDetectorYN.create(str(path), "", (320, 320), _SCORE)
    except cv2.error as error:
        raise WeightsError(
            f"{path}: no YuNet model that OpenCV {cv2.__version__} reads ({error.err})"
        ) from error

    def find(picture: Pixels) -> Sequence[Face]:
        detector.setInputSize(picture.shape[1::-1])
        _, rows = detector.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        found = [] if rows is None else rows[:, :4].round().astype(int).tolist()
        return [Face(x, y, x + width, y + height) for x, y, width, height in found]

    return find


def count_people(faces: Sequence[Face], *, attribute: str = "people") -> Reading:
    """One, several or none, as a reading."""
    value = {0: "none", 1: "one"}.get(len(faces), "several")
    return Reading(attribute, value, {})


def explain(faces: Sequence[Face]) -> str:
    """Why a picture with these faces cannot be read as one person's; "" when it can."""
    if len(faces) == 1:
        return ""
    return "no face was found" if not faces else f"{len(faces)} faces were found, so it is not one person's"


def crop_person(picture: Pixels, face: Face) -> Pixels:
    """The head of the person, for a reader."""
    return face.crop(picture, margin=_MARGIN)
