"""The one transformer core: attention (causal, bidirectional, cross), adaptive norm, positions, key/value cache.

    Block:  x = x + attend(norm(x));  x = x + attend(norm(x), text);  x = x + mlp(norm(x))

Read `Attention`, then `Block`, then `Transformer`. B rows, T positions, S positions of the other sequence, C width.
Sources: arXiv:1706.03762, with the norm before each part (arXiv:2002.04745); norms that a condition moves, DiT,
arXiv:2212.09748, with one projection for all blocks and an offset per block as in PixArt, arXiv:2310.00426.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class LayerCache:
    """Keys and values of one block: of the positions done so far, and of the other sequence.

    Attributes:
        keys: (B, heads, T, C / heads), filled up to `length`.
        values: the same.
        length: positions filled.
        other: keys and values of the cross-attention, (B, heads, S, C / heads) each; empty before the first step.
    """

    keys: Tensor
    values: Tensor
    length: int = 0
    other: tuple[Tensor, ...] = ()

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new positions (B, heads, t, C / heads); returns those of all so far."""
        end = self.length + keys.shape[2]
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


@dataclass(slots=True)
class Cache:
    """The caches of all blocks; makes the cost of one more position constant."""

    layers: list[LayerCache] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Positions done so far."""
        return self.layers[0].length if self.layers else 0


class Attention(nn.Module):
    """Multi-head attention, of a sequence to itself or to another one."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Tensor, *, other: Tensor | None = None, causal: bool = False, cache: LayerCache | None = None
    ) -> Tensor:
        """Attend.

        Args:
            x: (B, T, C), the asking sequence.
            other: (B, S, C), the sequence asked; default: x itself.
            causal: position t asks positions 0..t only.
            cache: x continues what the cache holds (self-attention), or `other` is the same in every call.

        Returns:
            (B, T, C)
        """
        query = self._split(self.query(x))  # (B, heads, T, C / heads)
        if other is not None and cache is not None:
            if not cache.other:
                cache.other = tuple(part.contiguous() for part in self._keys_values(other))
            keys, values = cache.other
        else:
            keys, values = self._keys_values(x if other is None else other)
            if cache is not None:
                keys, values = cache.append(keys, values)
        # Written out: torch's fused CPU kernel takes 3 to 5 times as long to train at 64 positions in bfloat16.
        scores = (query * query.shape[3] ** -0.5) @ keys.transpose(2, 3)  # (B, heads, T, S)
        if causal and query.shape[2] > 1:  # a single new position may see all that is cached
            past = keys.shape[2] - query.shape[2]
            scores = scores + scores.new_full(scores.shape[2:], -torch.inf).triu(1 + past)
        mixed = scores.softmax(3).to(values.dtype) @ values  # (B, heads, T, C / heads)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        rows, length, _ = x.shape
        return x.reshape(rows, length, self.heads, -1).transpose(
            1, 2
        )  # (B, T, C) -> (B, heads, T, C / heads)

    def _keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.key_value(x).chunk(2, dim=2)
        return self._split(keys), self._split(values)


class Block(nn.Module):
    """Self-attention, cross-attention when there is another sequence, and a two-layer perceptron.

    An adaptive block scales and shifts what enters its self-attention and its perceptron, as a condition says.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, cross: bool, adaptive: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.norm_self = nn.LayerNorm(width)
        self.attend_self = Attention(width, heads)
        self.norm_cross = nn.LayerNorm(width) if cross else None
        self.attend_cross = Attention(width, heads) if cross else None
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.offset = nn.Parameter(torch.zeros(4, width)) if adaptive else None

    def forward(
        self,
        x: Tensor,
        *,
        other: Tensor | None = None,
        cache: LayerCache | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """One step of the residual stream.

        Args:
            x: (B, T, C).
            other: (B, S, C), with cross-attention.
            cache: of the positions before x.
            condition: (B, 4, C), when adaptive: scale and shift of both norms.

        Returns:
            (B, T, C)
        """
        moves = None
        if self.offset is not None and condition is not None:
            moves = condition + self.offset  # (B, 4, C)
        x = x + self.attend_self(_move(self.norm_self(x), moves, 0), causal=self.causal, cache=cache)
        if self.attend_cross is not None and self.norm_cross is not None:
            x = x + self.attend_cross(self.norm_cross(x), other=other, cache=cache)
        return x + self.mlp(_move(self.norm_mlp(x), moves, 2))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A stack of blocks and a final norm.

    Args:
        width: C.
        depth: blocks.
        heads: divides the width.
        causal: position t sees 0..t only.
        cross: every block also attends to another sequence.
        adaptive: the norms of every block are moved by a condition.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        heads: int,
        causal: bool = False,
        cross: bool = False,
        adaptive: bool = False,
    ) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.blocks = nn.ModuleList(
            Block(width, heads, causal=causal, cross=cross, adaptive=adaptive) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(width, 4 * width)) if adaptive else None
        self.apply(_initialise)
        for name, parameter in self.named_parameters():
            if name.endswith(("out.weight", "mlp.2.weight")):  # what is added to the residual stream
                nn.init.normal_(parameter, std=0.02 / (2 * depth) ** 0.5)

    def forward(
        self,
        x: Tensor,
        *,
        other: Tensor | None = None,
        cache: Cache | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Run the stack.

        Args:
            x: (B, T, C); with a cache, what comes next.
            other: (B, S, C), with cross-attention.
            cache: of the positions before x.
            condition: (B, C), when adaptive.

        Returns:
            (B, T, C)
        """
        moves = None
        if self.condition is not None and condition is not None:
            moves = self.condition(condition).unflatten(1, (4, -1))  # (B, C) -> (B, 4, C)
        for index, block in enumerate(self.blocks):
            x = block(x, other=other, cache=cache.layers[index] if cache else None, condition=moves)
        return self.norm(x)  # type: ignore[no-any-return]

    def start_cache(self, rows: int, length: int) -> Cache:
        """An empty cache for `rows` sequences of at most `length` positions."""
        like = self.norm.weight
        shape = (rows, self.heads, length, self.width // self.heads)
        return Cache([LayerCache(like.new_empty(shape), like.new_empty(shape)) for _ in self.blocks])


class GridPositions(nn.Module):
    """Learned positions of a square grid read row by row: one vector per row plus one per column."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(side, 1, width) * 0.02)
        self.columns = nn.Parameter(torch.randn(1, side, width) * 0.02)

    def forward(self) -> Tensor:
        """(side * side, C)."""
        return (self.rows + self.columns).flatten(0, 1)


def _move(x: Tensor, moves: Tensor | None, first: int) -> Tensor:
    """Scale and shift x (B, T, C) by rows `first` and `first + 1` of moves (B, 4, C), if there are any."""
    if moves is None:
        return x
    return x * (1 + moves[:, first, None]) + moves[:, first + 1, None]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
