"""How many images, prompts and labels an audit needs: width and power before anything is generated.

Two groups. For labels of audited images (PPI++) the variance of the mean share over new prompts is

    s(1-s) [ (icc + (1-icc)/n) / P  +  (1/m - 1/(P n)) (1 - agreement^2) ]

with P prompts, n images each, m labels, and `agreement` the correlation of reading and label. For an error matrix
counted elsewhere the second term is replaced by the matrix's own uncertainty and the reader's noise, both over the
squared contrast. The formulas are first order; benchmarks.bias compares them with simulated audits.

Sources: Angelopoulos, Duchi and Zrnic 2023 (PPI++); Rogan and Gladen 1978, American Journal of Epidemiology 107(1);
Cochran 1977, section 10.6 (optimum sizes of two-stage samples).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from audit.statistics import require_level
from generator.errors import InputError

_PROMPTS = (20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280)
_IMAGES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 250)
_LABELS = (0, 50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2400, 3200)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of prompts and reader.

    Attributes:
        share: of the group, in (0, 1); .5 is the worst case.
        icc: how images of one prompt hang together, in [0, 1); published audits have .3 to .5.
        recalls: P(read as the group | shows it) and P(read as the other | shows the other), each in (.5, 1].
        matrix_labels: images of each group that the error matrix was counted on; 0: no matrix.
        level: two-sided confidence.

    Raises:
        InputError: a number out of range.
    """

    share: float = 0.5
    icc: float = 0.45
    recalls: tuple[float, float] = (0.9, 0.95)
    matrix_labels: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        require_level(self.level)
        if not 0 < self.share < 1 or not 0 <= self.icc < 1 or sum(self.recalls) <= 1 or max(self.recalls) > 1:
            raise InputError(
                f"plan: share {self.share} must be in (0, 1), icc {self.icc} in [0, 1), and recalls "
                f"{self.recalls} at most 1 each and together above 1 (else the reader sees nothing)"
            )

    @property
    def agreement(self) -> float:
        """Correlation of reading and label, in [0, 1]."""
        read = self.share * self.recalls[0] + (1 - self.share) * (1 - self.recalls[1])
        contrast = sum(self.recalls) - 1
        return float(contrast * np.sqrt(self.share * (1 - self.share) / max(read * (1 - read), 1e-12)))


@dataclass(frozen=True, slots=True)
class Costs:
    """Price of one more prompt, image and label, in any one unit (minutes, cents); each >= 0."""

    prompt: float = 1.0
    image: float = 0.1
    label: float = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """One design and what to expect of it.

    Attributes:
        prompts: P.
        images: of each prompt.
        labels: of audited images, at random; 0: the error matrix alone.
        half_width: expected half width of the interval of the mean share over new prompts, in [0, 1].
        prompt_half_width: the same for one prompt's share, reader's errors left out.
        power: chance to find a departure of `effect` in the mean share.
        effect: that departure, a difference of shares.
        cost: in the unit of the costs.
    """

    prompts: int
    images: int
    labels: int
    half_width: float
    prompt_half_width: float
    power: float
    effect: float
    cost: float


def plan(
    prompts: int,
    images: int,
    *,
    labels: int = 0,
    expect: Expectation | None = None,
    effect: float = 0.1,
    costs: Costs | None = None,
) -> Plan:
    """What an audit of this size will show.

    Args:
        prompts: P >= 5.
        images: of each prompt, >= 1.
        labels: of audited images, 0 to prompts * images.
        expect: of prompts and reader; default: Expectation().
        effect: departure of the mean share to be found, in (0, 1).
        costs: default: Costs().

    Raises:
        InputError: a size out of range, or neither labels nor an error matrix.
    """
    from scipy.special import ndtri, stdtr, stdtrit

    known, prices = expect or Expectation(), costs or Costs()
    if prompts < 5 or images < 1 or not 0 <= labels <= prompts * images or not 0 < effect < 1:
        raise InputError(
            f"plan: {prompts} prompts x {images} images, {labels} labels, effect {effect}; expected at least 5 x 1, "
            "labels between 0 and the images, and an effect in (0, 1)"
        )
    error = float(np.sqrt(_variance(prompts, images, labels, known)))
    freedom = max(min(prompts, labels) - 2 if labels else prompts - 1, 3)
    quantile = float(stdtrit(freedom, 0.5 + known.level / 2))
    power = float(stdtr(freedom, effect / error - quantile) + stdtr(freedom, -effect / error - quantile))
    alone = np.sqrt(known.share * (1 - known.share) / images)
    cost = prompts * prices.prompt + prompts * images * prices.image + labels * prices.label
    return Plan(
        prompts, images, labels, quantile * error, float(min(ndtri(0.5 + known.level / 2) * alone, 1.0)), power,
        effect, cost,
    )  # fmt: skip


def _variance(prompts: int, images: int, labels: int, known: Expectation) -> float:
    spread = known.share * (1 - known.share)
    clusters = (known.icc + (1 - known.icc) / images) / prompts
    if labels:
        unlabelled = 1 / labels - 1 / (prompts * images)
        return spread * (clusters + unlabelled * (1 - known.agreement**2))
    if not known.matrix_labels:
        raise InputError(
            "plan: without labels of audited images an error matrix is needed; give matrix_labels"
        )
    contrast = sum(known.recalls) - 1
    errors = [recall * (1 - recall) for recall in known.recalls]
    noise = (known.share * errors[0] + (1 - known.share) * errors[1]) / (prompts * images)
    matrix = (known.share**2 * errors[0] + (1 - known.share) ** 2 * errors[1]) / known.matrix_labels
    return spread * clusters + (noise + matrix) / contrast**2


def best_images(expect: Expectation, costs: Costs) -> float:
    """Images a prompt that give the narrowest interval for the money, whatever the budget; >= 1."""
    if expect.icc == 0 or costs.image == 0:
        return float("inf")
    return max(1.0, float(np.sqrt(costs.prompt / costs.image * (1 - expect.icc) / expect.icc)))


def cheapest_plan(
    *,
    half_width: float | None = None,
    power: float | None = None,
    effect: float = 0.1,
    expect: Expectation | None = None,
    costs: Costs | None = None,
    prompts: Iterable[int] = _PROMPTS,
) -> Plan:
    """The cheapest design that reaches a width, a power, or both.

    Args:
        half_width: largest half width of the interval of the mean share, in (0, 1); None: any.
        power: least chance to find `effect`, in (0, 1); None: any.
        effect: departure of the mean share.
        expect: of prompts and reader.
        costs: prices.
        prompts: sizes that are possible, for instance only the prompts at hand.

    Raises:
        InputError: no goal, or none of the designs tried reaches it (the best one is named).
    """
    if half_width is None and power is None:
        raise InputError("plan: give a half_width, a power, or both")
    known = expect or Expectation()
    tried = [
        plan(count, images, labels=labels, expect=known, effect=effect, costs=costs)
        for count in prompts
        for images in _IMAGES
        for labels in _LABELS
        if labels <= count * images and (labels or known.matrix_labels)
    ]
    reached = [one for one in tried if one.half_width <= (half_width or 1.0) and one.power >= (power or 0.0)]
    if not reached:
        best = min(tried, key=lambda one: one.half_width)
        raise InputError(
            f"plan: no design tried reaches it; {best.prompts} prompts x {best.images} images with {best.labels} "
            f"labels come nearest (half width {best.half_width:.3f}, power {best.power:.2f}); ask for less"
        )
    return min(reached, key=lambda one: (one.cost, one.half_width))
