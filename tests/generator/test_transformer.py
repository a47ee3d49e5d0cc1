"""The transformer core: attention as defined, nothing leaks from the future, a cache changes nothing."""

import pytest
import torch
from torch.nn import functional

from generator.training import seeded
from generator.transformer import Attention, GridPositions, Transformer

ROWS, LENGTH, OTHER, WIDTH = 3, 10, 5, 32


def make_model(*, causal=True, cross=True):
    """A small stack with weights large enough for every part to matter."""
    with seeded(0):
        model = Transformer(WIDTH, 3, heads=4, causal=causal, cross=cross).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(scope="module")
def inputs():
    with seeded(1):
        return torch.randn(ROWS, LENGTH, WIDTH), torch.randn(ROWS, OTHER, WIDTH)


def changed(x, position):
    x = x.clone()
    x[:, position, ::3] += 1  # not all channels alike: the norm would take that away again
    return x


@torch.no_grad()
def run_cached(model, x, other, *, first):
    """`first` positions in one pass, then one at a time."""
    cache = model.start_cache(len(x), x.shape[1])
    parts = [model(x[:, :first], other=other, cache=cache)]
    parts += [model(x[:, t : t + 1], other=other, cache=cache) for t in range(first, x.shape[1])]
    assert cache.length == x.shape[1]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("first", [1, 4, LENGTH])
def test_cached_equals_full_forward(inputs, cross, first):
    model = make_model(cross=cross)
    x, other = inputs[0], inputs[1] if cross else None
    with torch.no_grad():
        full = model(x, other=other)
    torch.testing.assert_close(run_cached(model, x, other, first=first), full, atol=1e-5, rtol=1e-5)


def test_a_cache_is_of_its_own_sequence(inputs):
    model, (x, other) = make_model(), inputs
    first = run_cached(model, x, other, first=1)
    run_cached(model, x + 1, other * 2, first=1)
    assert torch.equal(run_cached(model, x, other, first=1), first)


@pytest.mark.parametrize("position", [0, 4, LENGTH - 1])
def test_causal_sees_the_past_only(inputs, position):
    model, (x, other) = make_model(), inputs
    with torch.no_grad():
        before, after = model(x, other=other), model(changed(x, position), other=other)
    assert torch.equal(before[:, :position], after[:, :position])
    moved = (before - after).abs().amax(dim=(0, 2))[position:]
    assert (moved > 1e-4).all()


def test_bidirectional_sees_everything(inputs):
    model, x = make_model(causal=False, cross=False), inputs[0]
    with torch.no_grad():
        moved = (model(x) - model(changed(x, LENGTH - 1))).abs().amax(dim=(0, 2))
    assert (moved > 1e-4).all()


@pytest.mark.parametrize("position", [0, OTHER - 1])
def test_every_position_reads_all_of_the_other_sequence(inputs, position):
    model, (x, other) = make_model(), inputs
    with torch.no_grad():
        moved = (model(x, other=other) - model(x, other=changed(other, position))).abs().amax(dim=(0, 2))
    assert (moved > 1e-4).all()


def test_rows_do_not_mix(inputs):
    model, (x, other) = make_model(), inputs
    with torch.no_grad():
        together = model(x, other=other)
        alone = torch.cat([model(x[i : i + 1], other=other[i : i + 1]) for i in range(ROWS)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_equals_torchs_own(inputs, causal):
    with seeded(2):
        attention = Attention(WIDTH, 4)
    x = inputs[0]

    def split(y):
        return y.reshape(ROWS, -1, 4, WIDTH // 4).transpose(1, 2)

    with torch.no_grad():
        keys, values = attention.key_value(x).chunk(2, dim=2)
        mixed = functional.scaled_dot_product_attention(
            split(attention.query(x)), split(keys), split(values), is_causal=causal
        )
        wanted = attention.out(mixed.transpose(1, 2).reshape(ROWS, LENGTH, WIDTH))
        torch.testing.assert_close(attention(x, causal=causal), wanted, atol=1e-5, rtol=1e-5)


def test_a_condition_moves_every_row_its_own_way(inputs):
    """Adaptive norm: scale and shift of what enters the parts of a block, by a condition of the row."""
    with seeded(4):
        model = Transformer(WIDTH, 2, heads=4, adaptive=True).eval()
        condition = torch.randn(ROWS, WIDTH)
    x = inputs[0]
    with torch.no_grad():
        moved = model(x, condition=condition)
        other = condition.clone()
        other[0] += 1
        changed_rows = (model(x, condition=other) - moved).abs().amax(dim=(1, 2)) > 1e-5
        assert changed_rows.tolist() == [True, False, False]
        for parameter in model.condition.parameters():
            parameter.zero_()
        still = model(x, condition=condition)
        torch.testing.assert_close(still, model(x, condition=other))
        model.blocks[1].offset[1] += 0.5  # shift before the self-attention of the second block
        assert not torch.allclose(model(x, condition=condition), still, atol=1e-4)


def test_an_unmoved_adaptive_stack_is_the_plain_one(inputs):
    with seeded(4):
        adaptive = Transformer(WIDTH, 2, heads=4, adaptive=True).eval()
    plain = Transformer(WIDTH, 2, heads=4).eval()
    own = plain.state_dict()
    plain.load_state_dict({name: value for name, value in adaptive.state_dict().items() if name in own})
    with torch.no_grad():
        for parameter in adaptive.condition.parameters():
            parameter.zero_()
        torch.testing.assert_close(adaptive(inputs[0], condition=inputs[0][:, 0]), plain(inputs[0]))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 32 is not a multiple of heads 5"):
        Attention(32, 5)


def test_grid_positions_are_row_plus_column_row_by_row():
    grid = GridPositions(4, 6)
    with torch.no_grad():
        grid.rows.copy_(torch.arange(4.0)[:, None, None].expand(4, 1, 6) * 10)
        grid.columns.copy_(torch.arange(4.0)[None, :, None].expand(1, 4, 6))
    assert grid()[:, 0].tolist() == [10.0 * row + column for row in range(4) for column in range(4)]


def test_it_learns_to_copy_from_the_other_sequence():
    """Position t must report what the other sequence holds at t: needs both kinds of attention to train."""
    with seeded(3):
        model = Transformer(WIDTH, 2, heads=4, causal=True, cross=True)
        table = torch.randn(8, WIDTH)
        places = torch.randn(OTHER, WIDTH)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        losses = []
        for _ in range(150):
            symbols = torch.randint(8, (32, OTHER))
            out = model(places.expand(32, -1, -1), other=table[symbols] + places)
            loss = functional.cross_entropy((out @ table.T).flatten(0, 1), symbols.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.3  # chance: ln 8 = 2.08


def test_several_new_positions_on_a_warm_cache_see_only_what_came_before(inputs):
    model, (x, other) = make_model(), inputs
    cache = model.start_cache(len(x), x.shape[1])
    with torch.no_grad():
        parts = [model(x[:, a:b], other=other, cache=cache) for a, b in ((0, 2), (2, 5), (5, x.shape[1]))]
        full = model(x, other=other)
    torch.testing.assert_close(torch.cat(parts, dim=1), full, atol=1e-5, rtol=1e-5)
