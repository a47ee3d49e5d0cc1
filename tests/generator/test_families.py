"""Every family: a row is decided by its prompt, seed and key alone, and the controls do what they say."""

import pytest
import torch
from token_patterns import batch, perturbed

from generator.families.adversarial import Adversarial
from generator.families.autoregressive import Autoregressive
from generator.families.diffusion import Diffusion
from generator.families.interface import Control
from generator.families.masked import Masked
from generator.tokenizer import CODES, TOKENS
from generator.training import seeded

FAMILIES = [Autoregressive, Masked, Diffusion, Adversarial]
TEXTS = ["a portrait of a nurse", "a chef with glasses", "", "an old pilot"]
SEEDS = [5, 6, 7, 2**64 - 1]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.__name__)
def model(request):
    return perturbed(request.param)


@pytest.fixture(scope="module")
def drawn(model):
    return model.sample(TEXTS, SEEDS)


def test_samples_are_tokens(drawn):
    assert drawn.shape == (len(TEXTS), TOKENS)
    assert drawn.dtype == torch.int64
    assert 0 <= drawn.min() <= drawn.max() < CODES


def test_order_and_company_do_not_matter(model, drawn):
    assert torch.equal(model.sample(TEXTS[::-1], SEEDS[::-1]).flip(0), drawn)
    assert torch.equal(model.sample(TEXTS[2:3], SEEDS[2:3]), drawn[2:3])


def test_seed_prompt_and_key_each_matter(model):
    first = model.sample(["a nurse"], [1])
    assert not torch.equal(model.sample(["a nurse"], [2]), first)
    assert not torch.equal(model.sample(["a chef"], [1]), first)
    assert not torch.equal(model.sample(["a nurse"], [1], key=b"another sampling key"), first)


def test_guidance_away_from_the_prompt_itself_goes_nowhere(model, drawn):
    """Told and untold are then equal; and from any other prompt it goes somewhere."""
    control = Control(guidance=3.0, negative=tuple(TEXTS))
    agreement = (model.sample(TEXTS, SEEDS, control=control) == drawn).float().mean()
    assert agreement > 0.98, "but for rounding"
    other = Control(guidance=3.0, negative=tuple(TEXTS[::-1]))
    assert (model.sample(TEXTS, SEEDS, control=other) == drawn).float().mean() < 0.9


def test_guidance_without_negatives_moves_away_from_the_empty_prompt(model):
    plain = model.sample(TEXTS, SEEDS, control=Control(guidance=3.0))
    spelled_out = model.sample(TEXTS, SEEDS, control=Control(guidance=3.0, negative=("",) * 4))
    assert torch.equal(plain, spelled_out)
    assert not torch.equal(plain[0], model.sample(TEXTS, SEEDS)[0])


def test_given_tokens_stay(model, drawn):
    keep = torch.full_like(drawn, -1)
    keep[:, ::3] = (drawn[:, ::3] + 500) % CODES
    continued = model.sample(TEXTS, SEEDS, control=Control(keep=keep))
    assert torch.equal(continued[:, ::3], keep[:, ::3])
    assert 0 <= continued.min() <= continued.max() < CODES
    everything = model.sample(TEXTS, SEEDS, control=Control(keep=drawn.roll(1, 0)))
    assert torch.equal(everything, drawn.roll(1, 0))
    assert bool((keep[:, 1] == -1).all()), "what the caller gave is not written to"


@pytest.mark.parametrize("family", [Autoregressive, Masked, Diffusion])
def test_what_is_drawn_fits_what_was_given(family):
    """Given tokens are seen by those that are drawn (the adversarial painter only puts them in)."""
    model = perturbed(family)
    drawn = model.sample(TEXTS, SEEDS)
    keep = torch.full_like(drawn, -1)
    keep[:, :32] = (drawn[:, :32] + 500) % CODES
    continued = model.sample(TEXTS, SEEDS, control=Control(keep=keep))
    assert not torch.equal(continued[:, 32:], drawn[:, 32:])


def test_prompts_are_dropped_in_training_only(model):
    def losses():
        found = set()
        for _ in range(15):
            with seeded(4), torch.no_grad():
                torch.rand(len(found))  # shifts what dropout would draw
                found.add(round(model.loss(batch(0)).item(), 5))
        return found

    if isinstance(model, Autoregressive):  # the others also draw what is hidden, or the time, or noise
        assert len(losses()) == 1
        model.train()
        assert len(losses()) > 1
        model.eval()
