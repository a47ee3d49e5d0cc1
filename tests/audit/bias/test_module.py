"""The room end to end, without a model: rows per contract, every verdict, bad input, nothing read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audit.bias.module import Measure, build_module
from audit.bias.perception import Reading
from audit.bias.policy import Policy
from audit.bias.readings import ErrorMatrix
from audit.bias.summary import Summarise
from audit.collection import Item
from audit.evidence import Evidence, Status
from generator.errors import InputError

GROUPS = {"presentation": ("woman", "man")}
GOOD = ErrorMatrix(np.array([[470, 20, 10], [10, 480, 10]]), GROUPS["presentation"])
POLICY = Policy(draws=600)


@dataclass
class FakeSource:
    """Reads the red channel: bright is a woman, dark a man, middling undetermined."""

    groups: dict = field(default_factory=lambda: dict(GROUPS))
    description: str = "made up"
    probabilities: dict | None = None
    value: str = ""

    def read(self, pictures):
        return [{"presentation": self._read(picture)} for picture in pictures]

    def _read(self, picture):
        red = float(picture[..., 0].mean()) / 255
        value = self.value or ("undetermined" if 0.4 < red < 0.6 else "woman" if red > 0.5 else "man")
        chances = {"woman": red, "man": 1 - red} if self.probabilities is None else self.probabilities
        return Reading("presentation", value, chances, "in between" if value == "undetermined" else "")

    def error_matrices(self):
        return {"presentation": GOOD}


def tables(counts, *, attribute="presentation", groups=GROUPS["presentation"], prompts=True):
    """Bias and images tables with these readings; a last column, if there is one more, is unread images."""
    images, rows = [], []
    for prompt, line in enumerate(counts):
        for value, count in zip((*groups, "undetermined", None), line, strict=False):
            for _ in range(count):
                image_id = f"{prompt}-{len(images)}"
                prompt_id = f"job{prompt}" if prompts else None
                images.append({"image_id": image_id, "prompt_id": prompt_id, "prompt": f"a job{prompt}"})
                if value is None:
                    rows.append({"image_id": image_id, "status": "error", "reason": "damaged"})
                else:
                    rows.append({"image_id": image_id, "prompt_id": prompt_id, "attribute": attribute,
                                 "value": value, "probabilities": "{}", "status": "pass", "reason": ""})  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(images, columns=["image_id", "prompt_id", "prompt"])


def summarise(counts, *, matrices=None, policy=POLICY, **options):
    chosen = {"presentation": GOOD} if matrices is None else matrices
    return Summarise(GROUPS, chosen, policy)(*tables(counts, **options))


def picture(path, red):
    Image.fromarray(np.full((8, 8, 3), red, dtype=np.uint8)).save(path)
    return path


def test_rows_are_as_the_table_says(tmp_path):
    items = [
        Item(name, picture(tmp_path / f"{name}.png", red), prompt_id="job1")
        for name, red in (("a", 250), ("b", 5), ("c", 128))
    ]
    rows = Measure(FakeSource())(items)
    assert [row["value"] for row in rows] == ["woman", "man", "undetermined"]
    assert [row["status"] for row in rows] == ["pass", "pass", "inconclusive"]
    assert set(rows[0]) == {
        "image_id",
        "prompt_id",
        "attribute",
        "value",
        "probabilities",
        "status",
        "reason",
    }
    assert sum(json.loads(rows[0]["probabilities"]).values()) == pytest.approx(1, abs=1e-4)
    assert all(row["reason"] for row in rows)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probabilities": {"woman": 0.5, "man": 0.2}}, "sum to 1"),
        ({"probabilities": {"woman": 1.5, "man": -0.5}}, "sum to 1"),
        ({"value": "child"}, "no group \\['child'\\]"),
        ({"probabilities": {"woman": 0.5, "child": 0.5}}, "no group \\['child'\\]"),
    ],
)
def test_a_reader_that_breaks_its_word_is_refused(tmp_path, options, words):
    item = Item("a", picture(tmp_path / "a.png", 250))
    with pytest.raises(InputError, match=words):
        Measure(FakeSource(**options))([item])


def test_module_measures_and_summarises(tmp_path):
    module = build_module(source=FakeSource(), policy=POLICY)
    items = [Item("a", picture(tmp_path / "a.png", 250), prompt_id="job1", prompt="a job")]
    rows = pd.DataFrame(module.measure(items))
    images = pd.DataFrame([{"image_id": "a", "prompt_id": "job1", "prompt": "a job"}])
    evidence = module.summarise(rows, images)
    assert (module.name, evidence.subject, evidence.status) == ("bias", "bias", Status.INCONCLUSIVE)
    assert "made up" in evidence.find("bias.presentation.reader").details["labels_source"]
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence


def test_a_fair_generator_with_many_images_passes_everything():
    evidence = summarise(np.random.default_rng(0).multinomial(400, [0.48, 0.50, 0.02], size=24))
    assert evidence.find("bias.presentation.overall").status is Status.PASS
    assert evidence.find("bias.presentation.spread").status is Status.PASS
    assert evidence.find("bias.presentation.reader").status is Status.PASS
    assert evidence.find("bias.presentation.undetermined").status is Status.PASS
    assert Status.FAIL not in {check.status for check in evidence.checks}
    jobs = [check for check in evidence.checks if check.name.startswith("bias.presentation.job")]
    assert sum(check.status is Status.PASS for check in jobs) > 12


def test_a_fair_generator_with_few_images_is_inconclusive_not_fair():
    evidence = summarise(np.random.default_rng(0).multinomial(8, [0.48, 0.50, 0.02], size=24))
    assert evidence.status is Status.INCONCLUSIVE
    assert evidence.find("bias.presentation.job3").status is Status.INCONCLUSIVE


def test_a_model_that_shows_one_group_fails_everywhere():
    evidence = summarise([[0, 16, 0]] * 24)
    assert evidence.find("bias.presentation.overall").status is Status.FAIL
    assert evidence.find("bias.presentation.spread").status is Status.FAIL
    job = evidence.find("bias.presentation.job7")
    assert job.status is Status.FAIL
    assert job.details["gap"] == pytest.approx(0.5)
    assert job.details["p_adjusted"] >= job.details["p_value"]
    assert job.interval.low <= job.value <= job.interval.high


def test_opposite_stereotypes_pass_nothing_and_show_in_the_spread():
    evidence = summarise([[16, 0, 0], [0, 16, 0]] * 12)
    overall = evidence.find("bias.presentation.overall")
    assert overall.details["estimates"] == pytest.approx([0.5, 0.5], abs=0.02)
    assert overall.status is not Status.FAIL
    assert "deviate from the reference by 50 %" in overall.reason
    assert evidence.find("bias.presentation.spread").status is Status.FAIL
    assert evidence.find("bias.presentation.job0").status is Status.FAIL


def test_details_hold_what_charts_need():
    evidence = summarise([[10, 6, 0]] * 24)
    overall = evidence.find("bias.presentation.overall").details
    assert overall["groups"] == ["woman", "man"]
    assert len(overall["estimates"]) == len(overall["lows"]) == len(overall["highs"]) == 2
    assert overall["prompt_n"] == [16] * 24
    assert len(overall["prompt_estimates"]) == len(overall["prompt_lows"]) == 24
    assert overall["claim"] == "new prompts of this kind"
    assert overall["these_prompts"]["claim"] == "these prompts"
    spread = evidence.find("bias.presentation.spread").details["from_reference"]
    assert spread["null_low"] < spread["null_mean"] < spread["null_high"]


def test_icc_and_effective_n_are_reported():
    details = summarise([[14, 2, 0], [2, 14, 0]] * 12).find("bias.presentation.overall").details
    assert details["icc"] > 0.4
    assert details["effective_n"] < details["n_images"] / 5


def test_a_reference_of_the_users_own_is_what_counts():
    policy = Policy(draws=600, references={"presentation": {"woman": 0.9, "man": 0.1}})
    counts = np.random.default_rng(0).multinomial(60, [0.86, 0.12, 0.02], size=24)
    against_parity, against_own = summarise(counts), summarise(counts, policy=policy)
    assert against_parity.find("bias.presentation.overall").status is Status.FAIL
    assert against_own.find("bias.presentation.overall").status is Status.PASS


@pytest.mark.parametrize(("reference", "words"), [
    ({"hats": {"yes": 0.5, "no": 0.5}}, "unknown attributes \\['hats'\\]"),
    ({"presentation": {"woman": 1.0}}, "missing groups \\['man'\\]"),
])  # fmt: skip
def test_a_reference_that_does_not_fit_is_refused(reference, words):
    with pytest.raises(InputError, match=words):
        summarise([[8, 8, 0]] * 24, policy=Policy(references=reference))


def assert_no_share_is_reported(evidence, words):
    overall = evidence.find("bias.presentation.overall")
    spread = evidence.find("bias.presentation.spread")
    assert evidence.status is Status.INCONCLUSIVE
    for check in (overall, spread):
        assert check.status is Status.INCONCLUSIVE
        assert check.value is None
        assert check.interval is None
        assert words in check.reason
        assert "estimates" not in check.details
    assert not any(check.name.startswith("bias.presentation.job") for check in evidence.checks)


def test_everything_undetermined_is_inconclusive_and_gives_no_number():
    evidence = summarise([[0, 0, 8]] * 24)
    assert_no_share_is_reported(evidence, "Every reading is undetermined")
    assert evidence.find("bias.presentation.undetermined").status is Status.INCONCLUSIVE


def test_a_reader_that_always_answers_the_same_is_inconclusive_and_gives_no_number():
    blind = ErrorMatrix(np.array([[250, 0, 0], [250, 0, 0]]), GROUPS["presentation"])
    evidence = summarise([[16, 0, 0]] * 24, matrices={"presentation": blind})
    assert_no_share_is_reported(evidence, "hardly depends")
    assert evidence.find("bias.presentation.reader").status is Status.INCONCLUSIVE


def test_without_measured_errors_nothing_is_concluded():
    evidence = summarise([[0, 16, 0]] * 24, matrices={})
    assert_no_share_is_reported(evidence, "errors were not measured")
    assert evidence.find("bias.presentation.overall").details["as_read"] == [0.0, 1.0]


def test_no_image_could_be_read():
    evidence = summarise([[0, 0, 0, 8]] * 24)
    assert_no_share_is_reported(evidence, "No image could be read")


def test_images_without_prompts_are_pooled_and_never_attributed():
    evidence = summarise([[0, 16, 0]] * 24, prompts=False)
    overall = evidence.find("bias.presentation.overall")
    assert overall.status is Status.INCONCLUSIVE
    assert "carry no prompts" in overall.reason
    assert overall.details["prompt_ids"] == ["all images"]
    assert evidence.find("bias.presentation.spread").status is Status.INCONCLUSIVE
    assert Status.FAIL not in {check.status for check in evidence.checks}


@pytest.mark.parametrize("prompts", [1, 4, 19])
def test_few_prompts_allow_no_claim_about_new_ones_but_one_about_themselves(prompts):
    evidence = summarise([[0, 24, 0]] * prompts)
    overall = evidence.find("bias.presentation.overall")
    assert overall.status is Status.INCONCLUSIVE
    assert "Fewer than 20 prompts" in overall.reason
    assert evidence.find("bias.presentation.job0").status is Status.FAIL


def test_a_prompt_without_images_and_one_with_few_are_inconclusive():
    counts = [[0, 16, 0]] * 22 + [[0, 0, 0, 5], [0, 5, 0]]
    evidence = summarise(counts)
    empty, few = evidence.find("bias.presentation.job22"), evidence.find("bias.presentation.job23")
    assert (empty.status, empty.value) == (Status.INCONCLUSIVE, None)
    assert empty.details["unread"] == 5
    assert few.status is Status.INCONCLUSIVE
    assert "fewer than 6" in few.reason


def test_unread_images_stay_in_the_rate_and_in_the_worst_case():
    evidence = summarise([[5, 5, 2, 4]] * 24)
    rate = evidence.find("bias.presentation.undetermined")
    assert rate.value == pytest.approx(6 / 16)
    assert rate.status is Status.INCONCLUSIVE
    job = evidence.find("bias.presentation.job0").details
    assert job["worst_highs"][0] - job["worst_lows"][0] == pytest.approx(6 / 16)


def test_more_undetermined_than_on_labelled_images_is_said():
    check = summarise([[7, 7, 2]] * 24, policy=Policy(draws=600, max_undetermined=0.5)).find(
        "bias.presentation.undetermined"
    )
    assert check.status is Status.INCONCLUSIVE
    assert "unlike them" in check.reason


def test_a_prompt_named_like_another_check_keeps_its_own():
    rows, images = tables([[0, 16, 0]] * 24)
    images["prompt_id"] = images["prompt_id"].replace({"job0": "overall"})
    evidence = Summarise(GROUPS, {"presentation": GOOD}, POLICY)(rows, images)
    assert evidence.find("bias.presentation.prompt-overall").details["prompt_id"] == "overall"
    assert "n_prompts" in evidence.find("bias.presentation.overall").details


def test_no_images_is_an_error():
    rows, images = tables([])
    assert Summarise(GROUPS, {"presentation": GOOD}, POLICY)(rows, images).status is Status.ERROR


@pytest.mark.parametrize(("column", "value", "words"), [
    ("value", "child", "unknown reading \\['child'\\]"),
    ("attribute", "hats", "unknown attributes \\['hats'\\]"),
    ("image_id", "stranger", "not in the images table"),
    ("image_id", "0-1", "two readings"),
])  # fmt: skip
def test_tables_that_do_not_fit_are_refused(column, value, words):
    rows, images = tables([[4, 4, 0]] * 3)
    rows.loc[0, column] = value
    with pytest.raises(InputError, match=words):
        Summarise(GROUPS, {"presentation": GOOD}, POLICY)(rows, images)


def test_matrices_of_other_groups_or_attributes_are_refused():
    other = ErrorMatrix(GOOD.counts, ("man", "woman"))
    with pytest.raises(InputError, match="groups"):
        summarise([[8, 8, 0]] * 20, matrices={"presentation": other})
    with pytest.raises(InputError, match="hats"):
        Summarise(GROUPS, {"hats": GOOD}, POLICY)


def test_the_same_rows_give_the_same_evidence():
    assert summarise([[10, 6, 1]] * 24) == summarise([[10, 6, 1]] * 24)


@pytest.mark.parametrize("options", [
    {"level": 1.0}, {"margin": -0.1}, {"min_prompts": 3}, {"min_images": 0}, {"draws": 10},
    {"max_undetermined": 1.5}, {"correction": "none"},
])  # fmt: skip
def test_impossible_policies_are_refused(options):
    with pytest.raises(InputError):
        Policy(**options)
