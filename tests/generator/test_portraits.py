"""The embedded world: drawings that show their traits, captions that say them, corpora that keep their rates."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from generator.errors import InputError
from generator.portraits.captions import VOCABULARY, caption, describe, unknown_words, words
from generator.portraits.clothes import _GARMENTS
from generator.portraits.corpus import Corpus, Rates
from generator.portraits.draw import LARGEST, SMALLEST, Pose, bare_skin, draw
from generator.portraits.headwear import HEADWEAR
from generator.portraits.tools import TOOLS
from generator.portraits.traits import (
    HEADWEAR_NAMES,
    MONK_TONES,
    OCCUPATIONS,
    OUTFITS,
    TONES,
    VALUES,
    Traits,
    tone_group,
)

TRAITS = st.builds(Traits, **{name: st.sampled_from(values) for name, values in VALUES.items()})
POSES = st.builds(
    Pose,
    dx=st.floats(-8, 8),
    dy=st.floats(-5, 5),
    scale=st.floats(0.94, 1.05),
    side=st.sampled_from([-1, 1]),
    lift=st.floats(-6, 6),
    gaze=st.floats(-1, 1),
    light=st.floats(-1, 1),
)
BASE = Traits("teacher", "woman", "young", 4, "brown", "short", False, False, "neutral", "blue")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(11, Rates.default(), 40_000)


@pytest.fixture(scope="module")
def sample(corpus) -> list[Traits]:
    return [corpus.traits(index) for index in range(24_000)]


# --- traits


def test_every_outfit_names_drawings_that_exist_and_every_drawing_is_used():
    outfits = OUTFITS.values()
    assert {outfit.tool for outfit in outfits} == set(TOOLS)
    assert {outfit.headwear for outfit in outfits} == set(HEADWEAR) == set(HEADWEAR_NAMES)
    assert {outfit.shape for outfit in outfits} == set(_GARMENTS)
    assert len(OCCUPATIONS) >= 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tone": 0}, "tone.*got 0.*1, 2, 3"),
        ({"tone": 11}, "tone"),
        ({"occupation": "wizard"}, "occupation.*'wizard'.*doctor"),
        ({"presentation": "x"}, "presentation"),
        ({"age": "ancient"}, "age"),
        ({"hair_colour": "blue"}, "hair_colour"),
        ({"background": "beige"}, "background"),
        ({"glasses": "yes"}, "glasses"),
    ],
)
def test_unknown_trait_values_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(BASE, **change)


def test_tone_groups():
    assert [tone_group(tone) for tone in TONES] == ["light"] * 3 + ["medium"] * 3 + ["dark"] * 4
    with pytest.raises(InputError, match="Monk"):
        tone_group(0)


# --- drawings


@settings(max_examples=60, deadline=None)
@given(traits=TRAITS, pose=POSES, size=st.sampled_from([64, 96, 128, 256]))
def test_skin_between_the_brows_is_exactly_the_monk_swatch(traits, pose, size):
    pixels = draw(traits, pose, size=size)
    assert tuple(pixels[bare_skin(pose, size=size)].tolist()) == MONK_TONES[traits.tone]


@pytest.mark.parametrize("tone", TONES)
def test_cheeks_show_the_monk_swatch_and_no_other(tone):
    cheeks = draw(replace(BASE, tone=tone), Pose(), size=256)[134:150, 145:152]  # under the right eye
    assert {tuple(pixel) for pixel in cheeks.reshape(-1, 3).tolist()} == {MONK_TONES[tone]}


@settings(max_examples=30, deadline=None)
@given(traits=TRAITS, pose=POSES, size=st.integers(SMALLEST, 150))
def test_any_size_can_be_drawn_and_is_deterministic(traits, pose, size):
    first = draw(traits, pose, size=size)
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, draw(traits, pose, size=size))


@pytest.mark.parametrize("size", [-1, 0, SMALLEST - 1, LARGEST + 1])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(InputError, match="16 to 2048"):
        draw(BASE, Pose(), size=size)
    with pytest.raises(InputError, match="16 to 2048"):
        Corpus(1, Rates.default(), 5).batch([], size)


@pytest.mark.parametrize("trait", list(VALUES))
def test_one_changed_trait_changes_the_drawing_visibly_whatever_the_others(trait):
    rng = random.Random(f"one trait {trait}")
    for _ in range(25):
        base = Traits(**{name: rng.choice(values) for name, values in VALUES.items()})
        first, second = rng.sample(VALUES[trait], 2)
        one = draw(replace(base, **{trait: first}), Pose(), size=64).astype(int)
        other = draw(replace(base, **{trait: second}), Pose(), size=64).astype(int)
        changed = np.abs(one - other).max(axis=2)
        least = 2 if trait == "tone" else 20  # neighbouring Monk tones differ by few levels
        assert (changed >= least).sum() >= 5, (base, first, second)


def test_any_two_occupations_differ_clearly_at_64_px():
    for presentation in ("woman", "man"):
        drawings = {
            name: draw(replace(BASE, occupation=name, presentation=presentation), Pose(), size=64).astype(int)
            for name in OCCUPATIONS
        }
        for one, other in itertools.combinations(OCCUPATIONS, 2):
            changed = np.abs(drawings[one] - drawings[other]).max(axis=2) >= 40
            assert changed.mean() > 0.05, (one, other, changed.mean())


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("presentation", ["woman", "man"])
def test_age_lines_contrast_with_every_skin(tone, presentation):
    base = replace(BASE, tone=tone, presentation=presentation)
    young, middle, old = (
        draw(replace(base, age=age), Pose(), size=64).astype(int) for age in ("young", "middle-aged", "old")
    )
    clear = [(np.abs(one - other).max(axis=2) >= 25).sum() for one, other in ((young, middle), (middle, old))]
    assert min(clear) >= 10


# --- captions


def test_captions_use_every_word_of_the_vocabulary_and_no_other():
    corpus = Corpus(3, Rates.balanced(), 12_000)
    said = set()
    for index in range(corpus.size):
        said.update(corpus.caption(index).split(" "))
    assert said == set(VOCABULARY)
    assert len(VOCABULARY) <= 120


@settings(max_examples=150, deadline=None)
@given(traits=TRAITS, seed=st.integers(0, 2**32))
def test_captions_are_true(traits, seed):
    for text in (caption(traits, np.random.default_rng(seed)), describe(traits)):
        said = text.split(" ")
        assert words(text) == said
        for name in ("occupation", "age"):
            assert set(said) & set(VALUES[name]) <= {getattr(traits, name)}
        assert set(said) & {"woman", "female", "man", "male"} <= (
            {"woman", "female"} if traits.presentation == "woman" else {"man", "male"}
        )
        assert {word for word in said if word.endswith("-skinned")} <= {f"{tone_group(traits.tone)}-skinned"}
        assert "glasses" not in said or traits.glasses
        assert "beard" not in said or traits.beard
        assert set(said) & {"smiling", "neutral"} <= {traits.expression}
        assert set(said) & set(VALUES["hair_style"]) <= {traits.hair_style}
        if "background" in said:
            assert said[said.index("background") - 1] == traits.background
        for article, following in itertools.pairwise(said):
            if article in ("a", "an"):
                assert (article == "an") == (following[0] in "aeiou"), text


def test_captions_name_subsets_and_mostly_the_occupation(corpus, sample):
    texts = [corpus.caption(index) for index in range(4000)]
    named = np.mean([traits.occupation in text.split() for traits, text in zip(sample, texts, strict=False)])
    assert 0.70 < named < 0.80
    counts = Counter(texts)
    for text in ("a portrait of an old person", "a portrait of a nurse", "a woman", "a smiling person"):
        assert counts[text] >= 1, text
    assert len(counts) > 2000


def test_describe_says_everything():
    traits = Traits("executive", "man", "old", 9, "grey", "curly", True, True, "smiling", "pink")
    assert describe(traits) == (
        "a portrait of a smiling old dark-skinned man who is an executive "
        "with curly grey hair and glasses and a beard on a pink background"
    )


def test_words_strips_punctuation_and_keeps_hyphens():
    assert words("  A Portrait, of a middle-aged NURSE (smiling)!") == [
        "a", "portrait", "of", "a", "middle-aged", "nurse", "smiling",
    ]  # fmt: skip
    assert words("") == []
    assert unknown_words("a wizard and a Wizard with a wand") == ("wizard", "wand")


# --- rates


def test_default_rates_are_kept_within_binomial_intervals(corpus, sample):
    """96 intervals at level 1 - 1e-6 each: a failure by chance has probability below 1e-4."""
    rates = corpus.rates
    by_occupation = {name: [traits for traits in sample if traits.occupation == name] for name in OCCUPATIONS}

    def check(hits: int, total: int, probability: float, what: str) -> None:
        low, high = binom.interval(1 - 1e-6, total, probability)
        assert low <= hits <= high, (what, hits / total, probability)

    for name, group in by_occupation.items():
        check(len(group), len(sample), rates.occupation[name], name)
        check(sum(t.presentation == "woman" for t in group), len(group), rates.presentation[name], name)
        check(sum(t.age == "old" for t in group), len(group), rates.age[name]["old"], name)
        check(sum(t.tone >= 7 for t in group), len(group), sum(rates.tone[name][6:]), name)
    men = [t for t in sample if t.presentation == "man"]
    check(sum(t.beard for t in men), len(men), rates.beard["man"], "beard")
    assert not any(t.beard for t in sample if t.presentation == "woman")


def test_the_planted_bias_is_planted():
    rates = Rates.default()
    assert rates.presentation["nurse"] == 0.88
    assert rates.presentation["engineer"] == 0.14
    assert rates.tone["executive"][0] > 2 * rates.tone["executive"][9]
    assert len(set(Rates.balanced().presentation.values())) == 1


def test_every_trait_value_is_reachable(sample):
    balanced = Corpus(5, Rates.balanced(), 2000)
    for traits in ([balanced.traits(index) for index in range(2000)], sample):
        for name, values in VALUES.items():
            assert {getattr(item, name) for item in traits} == set(values)


def test_rates_survive_json_and_key_order():
    for rates in (Rates.default(), Rates.balanced()):
        again = Rates.from_json(json.loads(json.dumps(rates.to_json(), sort_keys=True)))
        assert again == rates
        one, other = Corpus(1, rates, 300), Corpus(1, again, 300)
        assert one.digest == other.digest
        assert [one.traits(index) for index in range(300)] == [other.traits(index) for index in range(300)]


def test_dialling_presentation_changes_what_depends_on_it_and_nothing_else():
    rates = Rates.default()
    before, after = Corpus(2, rates, 3000), Corpus(2, rates.with_presentation({"nurse": 0.0}), 3000)
    nurses = 0
    for index in range(3000):
        old, new = before.traits(index), after.traits(index)
        if old.occupation != "nurse":
            assert old == new
            continue
        nurses += 1
        assert new.presentation == "man"
        assert (old.age, old.tone, old.glasses, old.background) == (
            new.age,
            new.tone,
            new.glasses,
            new.background,
        )
    assert nurses > 50
    assert before.digest != after.digest


def test_other_dials():
    rates = Rates.default()
    only = rates.with_occupations({"chef": 0.25, "pilot": 0.75})
    assert {Corpus(1, only, 200).traits(index).occupation for index in range(200)} == {"chef", "pilot"}
    darkest = only.with_tone({"chef": (0.0,) * 9 + (1.0,)}).with_age({"chef": {"old": 1.0}})
    items = [Corpus(1, darkest, 200).traits(index) for index in range(200)]
    assert {(item.tone, item.age) for item in items if item.occupation == "chef"} == {(10, "old")}


@pytest.mark.parametrize(
    ("table", "value", "message"),
    [
        ("occupation", {"wizard": 1.0}, "unknown name 'wizard'"),
        ("occupation", {"nurse": 0.5, "chef": 0.4}, "sum to 0.9"),
        ("occupation", {}, "expected probabilities"),
        ("presentation", {"nurse": 0.5}, "missing"),
        ("glasses", {"young": 0.5, "middle-aged": float("nan"), "old": 0.5}, "nan.*probability from 0 to 1"),
        ("beard", {"woman": -0.1, "man": 0.5}, "-0.1"),
        ("smiling", {"woman": True, "man": 0.5}, "True"),
        ("background", {"blue": 0.7, "green": 0.7}, "sum to 1.4"),
        ("hair_colour", {"young": {}}, "missing"),
        ("hair_style", [], "list"),
    ],
)
def test_wrong_tables_are_refused(table, value, message):
    data = Rates.default().to_json()
    with pytest.raises(InputError, match=message):
        Rates.from_json({**data, table: value})


def test_wrong_dials_and_documents_are_refused():
    rates = Rates.default()
    with pytest.raises(InputError, match="wizard"):
        rates.with_presentation({"wizard": 0.5})
    with pytest.raises(InputError, match="probability"):
        rates.with_presentation({"nurse": 1.5})
    with pytest.raises(InputError, match="ten probabilities"):
        rates.with_tone({"nurse": (1.0,)})
    with pytest.raises(InputError, match="sum to"):
        rates.with_age({"nurse": {"old": 0.5}})
    with pytest.raises(InputError, match="missing"):
        Rates.from_json({})
    with pytest.raises(InputError, match="unknown name 'colour'"):
        Rates.from_json({**rates.to_json(), "colour": {}})
    with pytest.raises(InputError, match="JSON object"):
        Rates.from_json([])  # type: ignore[arg-type]


# --- corpora


def test_an_item_depends_on_seed_rates_and_number_alone(corpus):
    order = [17, 3, 39_999, 3, 0]
    batch = corpus.batch(order, 32)
    larger = Corpus(corpus.seed, Rates.default(), corpus.size * 2)
    for row, index in enumerate(order):
        assert np.array_equal(batch.pixels[row], larger.drawing(index, 32))
        assert batch.traits[row] == larger.traits(index)
        assert batch.captions[row] == larger.caption(index)
        assert np.array_equal(batch.pixels[row], draw(corpus.traits(index), corpus.pose(index), size=32))


def test_seeds_give_different_corpora(corpus):
    other = Corpus(corpus.seed + 1, corpus.rates, corpus.size)
    same = sum(corpus.traits(index) == other.traits(index) for index in range(500))
    assert same == 0
    assert corpus.digest != other.digest


def test_sampling_and_captions_are_frozen(corpus):
    """Seeds must mean the same in every version; whoever changes this raises CAPTION_VERSION or DRAWING_VERSION."""
    assert describe(corpus.traits(0)) == FROZEN_DESCRIPTION
    assert corpus.caption(0) == FROZEN_CAPTION
    assert corpus.digest == FROZEN_DIGEST


FROZEN_DESCRIPTION = (
    "a portrait of a smiling young dark-skinned man who is an athlete "
    "with short brown hair and glasses and a beard on a purple background"
)
FROZEN_DIGEST = "sha256:4548d1c7d2a540b09a26840bf702b556778ba7f7f2c44deefe076912d8174d63"
FROZEN_CAPTION = "a portrait of a male athlete"


def test_an_empty_batch_is_empty(corpus):
    batch = corpus.batch([], 64)
    assert batch.pixels.shape == (0, 64, 64, 3)
    assert batch.traits == batch.captions == ()


def test_numbers_and_seeds_out_of_range_are_refused(corpus):
    for index in (-1, corpus.size):
        with pytest.raises(InputError, match="expected 0 to 39999"):
            corpus.drawing(index, 64)
        with pytest.raises(InputError, match="expected 0 to 39999"):
            corpus.caption(index)
    with pytest.raises(InputError, match="seed"):
        Corpus(-1, Rates.default(), 5)
    with pytest.raises(InputError, match="size"):
        Corpus(1, Rates.default(), 0)


def test_drawing_is_fast_enough_to_need_no_files(corpus):
    """At least 700 drawings of 64 px per second of CPU time, with sampling and captions, best of five."""
    best = 0.0
    for start in range(5):
        begun = time.process_time()
        corpus.batch(range(start * 150, start * 150 + 150), 64)
        best = max(best, 150 / (time.process_time() - begun))
    print(f"{best:.0f} drawings per second")
    assert best >= 700
