"""Steering: shares are met, the seed chooses the images, words go before the person, impossible wishes are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from generator.errors import InputError
from generator.interface import GeneratedImage, Prompt, Refused, Request
from generator.portraits import VOCABULARY, words
from generator.steering import SteeredGenerator, count_values, plan_steering, steer_text
from generator.steering_targets import (
    EMBEDDED,
    Lexicon,
    Target,
    check_targets,
    load_lexicon,
    parse_fair,
    parse_steer,
)

NURSE = Prompt("nurse", "a portrait of a nurse", {"occupation": "nurse"})
ENGINEER = Prompt("engineer", "a portrait of an engineer", {"occupation": "engineer"})


def _requests(*prompts: Prompt, count: int) -> list[Request]:
    return [Request(prompt, i, 100 + i) for prompt in prompts for i in range(count)]


def _counts(text: str, *, count: int, seed: int = 0) -> dict[str, dict[str, int]]:
    requests = _requests(NURSE, count=count)
    return count_values(plan_steering(requests, [parse_steer(text)], lexicon=EMBEDDED, seed=seed))


def test_a_share_that_comes_out_whole_is_met_exactly() -> None:
    for seed in range(20):
        assert _counts("age=older:0.7", count=10, seed=seed) == {"age": {"old": 7}}
        assert _counts("age=young:0.3,old:0.7", count=10, seed=seed) == {"age": {"old": 7, "young": 3}}


def test_other_shares_are_rounded_by_chance_and_right_on_average() -> None:
    drawn = [_counts("age=old:0.7", count=3, seed=seed).get("age", {}).get("old", 0) for seed in range(400)]
    assert set(drawn) == {2, 3}
    assert abs(np.mean(drawn) - 2.1) < 0.08  # four standard errors of a coin with p 0.1 over 400 draws: 0.06


def test_one_image_a_prompt_is_steered_at_the_share_over_prompts() -> None:
    prompts = [Prompt(f"p{i}", "a portrait of a nurse") for i in range(200)]
    planned = plan_steering(
        _requests(*prompts, count=1), [parse_steer("age=old:0.7")], lexicon=EMBEDDED, seed=3
    )
    assert 118 <= len(planned) <= 162  # 140, three standard deviations of 6.5 and some


def test_which_images_are_steered_depends_on_the_seed_and_on_nothing_else() -> None:
    target = [parse_steer("age=old:0.5")]
    requests = _requests(NURSE, ENGINEER, count=20)
    first = plan_steering(requests, target, lexicon=EMBEDDED, seed=1)
    again = plan_steering(list(reversed(requests))[::-1], target, lexicon=EMBEDDED, seed=1)
    other = plan_steering(requests, target, lexicon=EMBEDDED, seed=2)
    assert first == again
    assert set(first) != set(other)
    replicates = {name: {r for prompt, r in first if prompt == name} for name in ("nurse", "engineer")}
    assert replicates["nurse"] != replicates["engineer"]
    assert replicates["nurse"] != set(range(10))  # not simply the first half


def test_several_attributes_are_independent_and_stand_in_the_order_of_a_caption() -> None:
    targets = [parse_steer("presentation=woman:0.5"), parse_steer("age=older:0.5")]
    planned = plan_steering(_requests(NURSE, count=400), targets, lexicon=EMBEDDED, seed=0)
    joint = Counter(tuple(sorted(steered.values.values())) for steered in planned.values())
    assert joint["old",] + joint["old", "woman"] == 200
    assert 70 <= joint["old", "woman"] <= 130
    both = next(steered.text for steered in planned.values() if len(steered.values) == 2)
    assert both == "a portrait of an old female nurse"


def test_fair_gives_every_image_a_value() -> None:
    targets = parse_fair("presentation=woman:0.5,man:0.5")
    planned = plan_steering(_requests(NURSE, ENGINEER, count=8), targets, lexicon=EMBEDDED, seed=0)
    assert len(planned) == 16
    assert count_values(planned) == {"presentation": {"man": 8, "woman": 8}}


def test_a_fair_file_has_a_target_for_each_prompt(tmp_path: Path) -> None:
    path = tmp_path / "fair.csv"
    path.write_text(
        "prompt_id,attribute,value,share\nnurse,presentation,woman,0.25\nnurse,presentation,man,0.75\n"
        "engineer,presentation,woman,1\n"
    )
    planned = plan_steering(
        _requests(NURSE, ENGINEER, count=4), parse_fair(str(path)), lexicon=EMBEDDED, seed=0
    )
    women = Counter(
        prompt for (prompt, _), steered in planned.items() if steered.values["presentation"] == "woman"
    )
    assert women == {"nurse": 1, "engineer": 4}


@pytest.mark.parametrize(
    ("text", "steered"),
    [
        ("a portrait of a nurse", "a portrait of an old nurse"),
        ("a portrait of an engineer", "a portrait of an old engineer"),
        ("the portrait of the judge", "the portrait of the old judge"),
        ("A nurse", "An old nurse"),
        (
            "a photo taken by a friend, portrait of a chef",
            "a photo taken by a friend, portrait of an old chef",
        ),
        ("a portrait of a person who is cooking", "a portrait of an old person who is cooking"),
    ],
)
def test_words_go_before_the_person(text: str, steered: str) -> None:
    assert steer_text(Prompt("p", text), {"age": "old"}, lexicon=EMBEDDED) == steered


def test_the_value_of_a_slot_finds_the_person_where_the_text_alone_does_not() -> None:
    prompt = Prompt("p", "at work: a nurse, a window behind", {"occupation": "nurse"})
    assert steer_text(prompt, {"age": "young"}, lexicon=EMBEDDED) == "at work: a young nurse, a window behind"


def test_a_template_puts_the_words_anywhere() -> None:
    lexicon = Lexicon({"age": {"old": "eighty years old"}}, template="{prompt}, {words}")
    assert steer_text(Prompt("p", "nurses at work"), {"age": "old"}, lexicon=lexicon) == (
        "nurses at work, eighty years old"
    )


def test_a_prompt_without_a_place_for_words_is_named_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"prompt p .*no place found for 'old'.*--traits FILE"):
        steer_text(Prompt("p", "nurses at work"), {"age": "old"}, lexicon=EMBEDDED)


def test_a_prompt_that_names_the_trait_itself_is_left_alone() -> None:
    old = Prompt("old", "a portrait of an old person", {"adjective": "old"})
    planned = plan_steering(
        _requests(old, NURSE, count=4), [parse_steer("age=young")], lexicon=EMBEDDED, seed=0
    )
    assert {prompt for prompt, _ in planned} == {"nurse"}


def test_every_word_of_the_embedded_lexicon_is_known_to_the_embedded_generator() -> None:
    spoken = {word for values in EMBEDDED.words.values() for text in values.values() for word in words(text)}
    assert spoken <= set(VOCABULARY)


class _Echo:
    """Remembers what it was given."""

    name, version, weights_digest = "echo", "1", ""

    def __init__(self) -> None:
        self.given: list[str] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage | Refused]:
        for request in requests:
            self.given.append(request.prompt.text)
            if request.replicate == 3:
                yield Refused(request, "no")
            else:
                yield GeneratedImage(np.zeros((8, 8, 3), np.uint8), request, self.name, "1", "")


def test_the_generator_is_given_the_steered_prompt_and_the_image_reports_the_original() -> None:
    requests = _requests(NURSE, count=4)
    planned = plan_steering(requests, [parse_steer("age=old")], lexicon=EMBEDDED, seed=0)
    del planned["nurse", 1]
    echo = _Echo()
    images = list(SteeredGenerator(echo, planned).generate(requests))
    assert echo.given == ["a portrait of an old nurse", NURSE.text, *["a portrait of an old nurse"] * 2]
    assert [image.request for image in images] == requests
    first, second, _, refused = images
    assert isinstance(first, GeneratedImage)
    assert isinstance(second, GeneratedImage)
    assert (first.given_prompt, first.steering) == ("a portrait of an old nurse", {"age": "old"})
    assert (second.given_prompt, second.steered_prompt, second.steering) == (NURSE.text, "", {})
    assert isinstance(refused, Refused)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "height=tall:0.5",
            r"unknown attribute 'height'; expected one of expression, age, tone, presentation",
        ),
        ("age=ancient:0.5", r"unknown value 'ancient' of age; expected one of young, middle-aged, old"),
        ("age", r"expected ATTRIBUTE=VALUE:SHARE"),
        ("age=old:1.5", r"share '1.5' of old, expected a number from 0 to 1"),
        ("age=old:nan", r"share 'nan' of old"),
        ("age=old:0.7,young:0.7", r"the shares sum to 1.4, expected at most 1"),
        ("age=old:0.2,older:0.2", r"old is named twice"),
    ],
)
def test_steer_says_what_is_wrong_and_what_there_is(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_steer(text)


def test_fair_shares_must_sum_to_one() -> None:
    with pytest.raises(InputError, match=r"the shares of presentation sum to 0.9, expected 1"):
        parse_fair("presentation=woman:0.5,man:0.4")
    assert parse_fair("age=young:0.3333333,middle-aged:0.3333333,old:0.3333333")


def test_targets_that_contradict_or_miss_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="age is steered twice"):
        check_targets([parse_steer("age=old:0.1"), *parse_fair("age=young:1")])
    target = Target("age", {"old": 1.0}, "pilot")
    with pytest.raises(InputError, match=r"the set has no prompt 'pilot'; it has nurse"):
        plan_steering(_requests(NURSE, count=1), [target], lexicon=EMBEDDED, seed=0)
    with pytest.raises(InputError, match="neither ATTRIBUTE=VALUE:SHARE"):
        parse_fair(str(tmp_path / "none.csv"))
    (tmp_path / "bad.csv").write_text("prompt_id,value\n")
    with pytest.raises(InputError, match="column 'attribute' is missing"):
        parse_fair(str(tmp_path / "bad.csv"))


def test_a_lexicon_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "traits.yaml"
    path.write_text('template: "{prompt}, {words}"\ntraits: {region: {asia: from Asia}}\n')
    lexicon = load_lexicon(path)
    target = parse_steer("region=asia", lexicon=lexicon)
    planned = plan_steering(_requests(NURSE, count=1), [target], lexicon=lexicon, seed=0)
    assert planned["nurse", 0].text == "a portrait of a nurse, from Asia"
    path.write_text("template: '{words}'\ntraits: {region: {asia: from Asia}}\n")
    with pytest.raises(InputError, match="must hold {prompt} and {words}"):
        load_lexicon(path)
    path.write_text("traits: [age]")
    with pytest.raises(InputError, match="expected `traits:`"):
        load_lexicon(path)
