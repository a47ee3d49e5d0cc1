"""What has to be known to read a mark of sampling, and what it says. No torch: the models are in `sampling_readers`.

Such a mark follows from a secret and a seed that differs from picture to picture. Whoever reads it needs the secret
and the seeds that were issued under it; every seed tried is paid for in the p-value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from generator.errors import InputError
from generator.marking.watermark.interface import Detection
from generator.marking.watermark.keys import WatermarkKey
from generator.noise import PUBLIC_KEY
from generator.sources import Source

_PREFIX = "io.github.assay-audit.sampling-"
TOKENS, NOISE, LATENTS = (f"{_PREFIX}{kind}.1" for kind in ("tokens", "noise", "latents"))
"""Names in the registry."""

BY_FAMILY = {"autoregressive": TOKENS, "masked": TOKENS, "diffusion": NOISE}
"""Family of the embedded generator -> its mark. The token families spend their noise alike: it is one mark."""

_PERSON = b"assay-sk-key-id1"


def _no_seeds() -> NDArray[np.uint64]:
    return np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class SamplingKey(WatermarkKey):
    """The secret of sampling, and the seeds that were issued under it.

    Args:
        secret: 16 to 64 bytes, as `noise.uniforms` takes them.
        seeds: uint64 (n,), without repeats.

    Raises:
        InputError: the secret has another length.
    """

    seeds: NDArray[np.uint64] = field(default_factory=_no_seeds, compare=False)

    def __post_init__(self) -> None:
        if not 16 <= len(self.secret) <= 64:
            raise InputError(
                f"sampling key has {len(self.secret)} bytes, expected 16 to 64; draw one with secrets.token_bytes"
            )
        digest = hashlib.blake2b(self.secret, digest_size=6, person=_PERSON).hexdigest()
        object.__setattr__(self, "key_id", "public" if self.is_public else digest)

    @property
    def is_public(self) -> bool:
        """Whether everybody has this secret, so that a mark under it proves no origin."""
        return self.secret == PUBLIC_KEY


@dataclass(frozen=True, slots=True)
class SamplingDetection(Detection):
    """The decision over one picture: `Detection`, and the seed instead of a payload.

    Args:
        seed: that made the picture; None when none is named.
        tried: number of seeds.
        as_is: log10 p of the picture as it came, corrected for the seeds alone.
        undone: what happened to the picture before it was read, in words; "" when it was read as it came.
        is_public: whether the key is public.
    """

    seed: int | None
    tried: int
    as_is: float
    undone: str
    is_public: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """Seeds that a generator was given.

    Attributes:
        key: the secret, and at least one seed.
        source: the generator; an embedded one without a family may have been any.
        weights_digest: of the weights it had then; empty when not known.
    """

    key: SamplingKey
    source: Source
    weights_digest: str = ""

    @property
    def is_named(self) -> bool:
        """Whether it is known which generator was given them."""
        return bool(self.source.family or self.source.target)

    def may_leave(self, technique: str) -> bool:
        """Whether pictures of these seeds may carry the mark of that name."""
        if not self.is_named:
            return True
        return technique == (LATENTS if self.source.target else BY_FAMILY.get(self.source.family))
