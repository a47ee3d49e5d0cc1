"""The tables of survival and their floors: size, strength, length of the identifier, attacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audit.statistics import clopper_pearson
from benchmarks import attacks
from benchmarks.document import Figure
from benchmarks.watermark_survival import Registered, Survival
from generator.marking.watermark.interface import Scheme
from generator.marking.watermark.margin import MarginController
from generator.marking.watermark.registry import DEFAULT

GRID = (*attacks.COMMON, *attacks.STRONG, *attacks.HARD, *attacks.BENT)
FLOORS_512 = {
    **dict.fromkeys(attacks.COMMON, 0.98),
    **dict.fromkeys(attacks.STRONG, 0.95),
    **dict.fromkeys(attacks.HARD, 0.85),
    **dict.fromkeys(attacks.BENT, 0.70),
}
_LARGE = {**dict.fromkeys(attacks.HEAVY, 0.9), **dict.fromkeys(attacks.STACKED, 0.7)}
FLOORS_1024 = {**dict.fromkeys(GRID, 0.98), **_LARGE}
FLOORS_1024_46 = {**dict.fromkeys(GRID, 0.95), **_LARGE}
FLOORS_256 = dict.fromkeys(("none", "jpeg75", "resize3/4", "crop90", "flip"), 0.95)


@dataclass(frozen=True)
class Table:
    """One set of pictures at one strength.

    Attributes:
        side: px; 256 are drawings, all others photographs.
        psnr: dB, at least.
        floors: attack -> least share of pictures read.
        attacks: which ones.
        bits: of the identifier.
        scheme: that marks and reads.
        variant: for the name, when it is not the default scheme with the default length.
        ssim: floor.
    """

    side: int
    psnr: float
    floors: Mapping[str, float]
    attacks: Sequence[str] = GRID
    bits: int = 64
    scheme: Scheme = field(default=DEFAULT)
    variant: str = ""
    ssim: float | None = None

    @property
    def name(self) -> str:
        """For the part and its figures."""
        return f"{self.side}px.{self.psnr:g}dB{self.variant}"

    def contender(self) -> Registered:
        """What is measured."""
        name = f"ours, {self.psnr:g} dB{self.variant.replace('.', ', ').replace('_', ' ')}"
        return Registered(self.scheme, self.psnr, name=name, bits=self.bits)

    def figures(self, entry: Survival) -> Iterator[Figure]:
        """Quality, and the share read after each attack."""
        note = f"mean of {entry.pictures} pictures, {entry.refused} refused"
        yield Figure(f"{self.name}.psnr", entry.psnr, "dB", floor=self.psnr, note=note)
        yield Figure(f"{self.name}.ssim", entry.ssim, "", floor=self.ssim, note=note)
        for attack, read in entry.read.items():
            yield Figure(
                f"{self.name}.{attack}",
                read / entry.pictures,
                "share",
                floor=self.floors.get(attack),
                interval=clopper_pearson(read, entry.pictures),
            )


TABLES = (
    Table(512, 44.5, FLOORS_512, ssim=0.988),
    Table(512, 46, FLOORS_512),
    Table(512, 44, FLOORS_512, scheme=MarginController(DEFAULT), variant=".by_margin"),
    Table(512, 44, dict.fromkeys(attacks.COMMON, 0.95), attacks.COMMON, bits=128, variant=".128bit"),
    Table(1024, 44, FLOORS_1024, tuple(FLOORS_1024)),
    Table(1024, 46, FLOORS_1024_46, tuple(FLOORS_1024)),
    Table(256, 42, FLOORS_256),
)
