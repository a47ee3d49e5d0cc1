"""Steering: words are put into prompts so that a chosen share of the images shows a chosen trait.

    --steer age=older:0.7                    seven in ten images of every prompt ask for an old person
    --fair presentation=woman:0.5,man:0.5    every image asks for one of them, in these shares

The generator is given the steered text; the original prompt stays the reported one, so that an audit can compare the
same prompts before and after. What is steered is what is asked for: whether it shows is measured by the audit, never
assumed. Which images carry which words is drawn from the run's seed. Shares are met exactly where they come out whole
for a prompt's number of images; otherwise to the next whole number, up or down by chance, so that the expected share
is exact (systematic sampling). Several attributes are drawn independently of each other.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from generator.errors import InputError
from generator.interface import GeneratedImage, Generator, Prompt, Refused, Request
from generator.portraits import words as split_words
from generator.prompts import with_article
from generator.steering_targets import Lexicon, Target

_PICTURE = "portrait|drawing|picture|photo|photograph|image|painting|illustration|headshot"
_OF_SOMEBODY = re.compile(rf"\b(?:{_PICTURE}) of (?P<article>a|an|the) ", re.IGNORECASE)
_SOMEBODY = re.compile(rf"^(?P<article>a|an|the) (?!.*\b(?:{_PICTURE})\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Steered:
    """What one image is given.

    Attributes:
        text: for the generator, instead of the prompt.
        values: attribute -> value.
    """

    text: str
    values: Mapping[str, str]


def plan_steering(
    requests: Sequence[Request], targets: Sequence[Target], *, lexicon: Lexicon, seed: int
) -> dict[tuple[str, int], Steered]:
    """Decide which images are steered to what.

    Args:
        requests: all images of the run; how many a prompt has decides the counts.
        targets: at most one for each attribute and prompt.
        lexicon: the words.
        seed: of the run.

    Returns:
        (prompt id, replicate) -> what is given; images that keep their prompt are left out.

    Raises:
        InputError: a target names a prompt that is not there, or a prompt has no place for the words.
    """
    prompts: dict[str, list[Request]] = {}
    for request in requests:
        prompts.setdefault(request.prompt.prompt_id, []).append(request)
    absent = [target.prompt_id for target in targets if target.prompt_id and target.prompt_id not in prompts]
    if absent:
        raise InputError(f"fair target: the set has no prompt {absent[0]!r}; it has {', '.join(prompts)}")
    planned = {}
    for prompt_id, asked in prompts.items():
        values: list[dict[str, str]] = [{} for _ in asked]
        for target in _of_prompt(targets, asked[0].prompt, lexicon):
            for chosen, value in zip(values, _draw(target, len(asked), f"{seed}/{prompt_id}"), strict=True):
                if value:
                    chosen[target.attribute] = value
        for request, chosen in zip(asked, values, strict=True):
            if chosen:
                text = steer_text(request.prompt, chosen, lexicon=lexicon)
                planned[prompt_id, request.replicate] = Steered(text, chosen)
    return planned


def _of_prompt(targets: Sequence[Target], prompt: Prompt, lexicon: Lexicon) -> list[Target]:
    """The targets that hold for a prompt: its own before the general ones, none for what its text says already."""
    said = set(split_words(prompt.text))
    general = {target.attribute: target for target in targets if not target.prompt_id}
    own = {target.attribute: target for target in targets if target.prompt_id == prompt.prompt_id}
    return [
        target
        for attribute, target in (general | own).items()
        if not any(said.issuperset(split_words(words)) for words in lexicon.words[attribute].values())
    ]


def _draw(target: Target, count: int, context: str) -> list[str]:
    """One value for each of `count` images, "" for none."""
    digest = hashlib.blake2b(f"{context}/{target.attribute}".encode(), digest_size=16).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    values = [*target.shares, ""]
    bounds = [round(bound * count, 9) for bound in accumulate(target.shares.values())]
    points = np.arange(count) + rng.random()
    drawn = [values[bisect_right(bounds, point)] for point in points.tolist()]
    return [drawn[place] for place in rng.permutation(count).tolist()]


def steer_text(prompt: Prompt, values: Mapping[str, str], *, lexicon: Lexicon) -> str:
    """The prompt's text with the words of some values in it.

    Args:
        prompt: with its slots, which help to find the person in the text.
        values: attribute -> value, both of the lexicon.
        lexicon: its template says where the words go; without one they go before the person: "a portrait of a
            nurse" becomes "a portrait of an old nurse".

    Raises:
        InputError: there is no template and no person to be found in the text.
    """
    words = [
        lexicon.words[attribute][values[attribute]] for attribute in lexicon.words if attribute in values
    ]
    if lexicon.template:
        return lexicon.template.replace("{words}", ", ".join(words)).replace("{prompt}", prompt.text)
    for pattern in (*_slot_patterns(prompt), _OF_SOMEBODY, _SOMEBODY):
        found = pattern.search(prompt.text)
        if found:
            start, end = found.span("article")
            phrase = f"{' '.join(words)} {prompt.text[end + 1 :]}"
            article = found["article"]
            lead = f"{article} {phrase}" if article.lower() == "the" else with_article(article[0], phrase)
            return prompt.text[:start] + lead
    raise InputError(
        f"prompt {prompt.prompt_id} ({prompt.text!r}): no place found for {' '.join(words)!r}; write 'a portrait "
        "of a ...', or give --traits FILE with a `template`, such as '{prompt}, {words}'"
    )


def _slot_patterns(prompt: Prompt) -> list[re.Pattern[str]]:
    return [
        re.compile(rf"\b(?P<article>a|an|the) {re.escape(value)}(?!\w)", re.IGNORECASE)
        for value in prompt.slots.values()
        if value
    ]


def count_values(planned: Mapping[tuple[str, int], Steered]) -> dict[str, dict[str, int]]:
    """Images steered to each value of each attribute, as the run record keeps it."""
    counts: dict[str, Counter[str]] = {}
    for steered in planned.values():
        for attribute, value in steered.values.items():
            counts.setdefault(attribute, Counter())[value] += 1
    return {attribute: dict(sorted(counter.items())) for attribute, counter in counts.items()}


class SteeredGenerator:
    """A generator that is given steered prompts and reports the original ones.

    Args:
        generator: makes the images.
        planned: from `plan_steering`.
    """

    def __init__(self, generator: Generator, planned: Mapping[tuple[str, int], Steered]) -> None:
        self._generator, self._planned = generator, planned

    @property
    def name(self) -> str:
        """Name of the generator steered."""
        return self._generator.name

    @property
    def version(self) -> str:
        """Its version."""
        return self._generator.version

    @property
    def weights_digest(self) -> str:
        """Its weights."""
        return self._generator.weights_digest

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage | Refused]:
        """Yield one answer per request, in order, with the original request in it."""
        steered = [self._planned.get((request.prompt.prompt_id, request.replicate)) for request in requests]
        given = [
            replace(request, prompt=replace(request.prompt, text=what.text)) if what else request
            for request, what in zip(requests, steered, strict=True)
        ]
        for answer, request, what in zip(self._generator.generate(given), requests, steered, strict=True):
            if isinstance(answer, Refused) or what is None:
                yield replace(answer, request=request)
            else:
                yield replace(answer, request=request, steered_prompt=what.text, steering=dict(what.values))
