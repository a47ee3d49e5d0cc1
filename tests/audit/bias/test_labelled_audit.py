"""The room with human labels: which estimator speaks, when a shift silences the matrix, and labels that do not
fit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from audit.bias.policy import Policy
from audit.bias.readings import ErrorMatrix
from audit.bias.reference import Reference
from audit.bias.sampling import sample_attribute
from audit.bias.significance import multinomial_p
from audit.bias.summary import Summarise
from audit.evidence import Evidence, Status
from audit.statistics import clopper_pearson
from generator.errors import InputError

GROUPS = {"presentation": ("woman", "man")}
GOOD = ErrorMatrix(np.array([[470, 20, 10], [10, 480, 10]]), GROUPS["presentation"])
POOR = np.array([[0.67, 0.33, 0.0], [0.01, 0.99, 0.0]])
POLICY = Policy(draws=600)


def world(*, rates, share=0.5, prompts=24, images=30, labels=120, seed=0):
    """Bias table, images table and labels of a generator with this share of women and a reader with these rates."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((prompts, images)) >= share).astype(int).ravel()
    read = np.array([rng.choice(3, p=rates[person]) for person in truth])
    names = np.array(["woman", "man", "undetermined"])
    ids = [f"i{index}" for index in range(truth.size)]
    prompt_of = [f"job{index // images}" for index in range(truth.size)]
    pictures = pd.DataFrame({"image_id": ids, "prompt_id": prompt_of, "prompt": prompt_of})
    rows = pd.DataFrame({"image_id": ids, "prompt_id": prompt_of, "attribute": "presentation", "value": names[read],
                         "probabilities": "{}", "status": "pass", "reason": ""})  # fmt: skip
    chosen = rng.choice(truth.size, labels, replace=False)
    said = pd.DataFrame({"image_id": [ids[index] for index in chosen], "attribute": "presentation",
                         "value": names[truth[chosen]], "annotator": "a"})  # fmt: skip
    return rows, pictures, said


def audit(rows, pictures, said, *, matrices=None, policy=POLICY):
    known = {"presentation": GOOD} if matrices is None else matrices
    return Summarise(GROUPS, known, policy, labels=said)(rows, pictures)


def test_labels_speak_where_there_are_any():
    overall = audit(*world(rates=GOOD.rates)).find("bias.presentation.overall")
    assert "PPI++" in overall.interval.method
    assert overall.details["labelled_images"] == 120
    assert 0 < overall.details["power_of_readings"] <= 1
    assert "bootstrap" in overall.details["by_error_matrix"]["method"]
    assert overall.details["test"].startswith("score test")


def test_a_shifted_reader_is_found_out_and_the_share_is_right_all_the_same():
    evidence = audit(*world(rates=POOR))
    transport = evidence.find("bias.presentation.transport")
    assert "it does not fit" in transport.reason
    assert "rest on the labels" in transport.reason
    assert transport.details["p_value"] <= 0.05
    overall = evidence.find("bias.presentation.overall")
    estimate = overall.details["estimates"][0]
    assert abs(estimate - 0.5) < 0.12
    assert overall.status is not Status.FAIL
    assert overall.details["lows"][0] <= 0.5 <= overall.details["highs"][0]


def test_without_labels_the_same_reader_is_believed_and_transport_says_it_was_not_tested():
    rows, pictures, _ = world(rates=POOR)
    evidence = audit(rows, pictures, None)
    assert evidence.find("bias.presentation.overall").details["estimates"][0] < 0.4
    transport = evidence.find("bias.presentation.transport")
    assert transport.status is Status.SKIPPED
    assert "not tested" in transport.reason


def test_a_reader_that_fits_passes_transport_and_says_what_it_could_have_seen():
    transport = audit(*world(rates=GOOD.rates)).find("bias.presentation.transport")
    assert transport.status is Status.PASS
    assert "would have been seen" in transport.reason
    assert transport.details["counts"][0][0] > 0


def test_unmeasured_readers_are_concluded_from_labels_alone():
    evidence = audit(*world(rates=POOR, share=0.05), matrices={})
    overall = evidence.find("bias.presentation.overall")
    assert overall.status is Status.FAIL
    assert overall.details["highs"][0] < 0.2
    assert evidence.find("bias.presentation.job3").details["estimates"]


def test_a_reader_that_always_answers_the_same_leaves_the_labels_and_no_single_prompt():
    same = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    evidence = audit(*world(rates=same))
    overall = evidence.find("bias.presentation.overall")
    assert overall.details["power_of_readings"] == 0
    assert overall.details["lows"][0] <= 0.5 <= overall.details["highs"][0]
    assert "cannot tell single prompts apart" in overall.reason
    assert evidence.find("bias.presentation.spread").status is Status.INCONCLUSIVE
    assert not any(check.name.startswith("bias.presentation.job") for check in evidence.checks)


def test_too_few_labels_leave_the_matrix_to_speak_unless_they_refute_it():
    rows, pictures, said = world(rates=GOOD.rates)
    overall = audit(rows, pictures, said.head(12)).find("bias.presentation.overall")
    assert "bootstrap" in overall.interval.method


def test_a_matrix_that_too_few_labels_refute_says_nothing_any_more():
    blind = np.array([[0.05, 0.95, 0.0], [0.95, 0.05, 0.0]])
    rows, pictures, said = world(rates=blind)
    evidence = audit(rows, pictures, said.head(18))
    assert evidence.find("bias.presentation.transport").status is Status.INCONCLUSIVE
    overall = evidence.find("bias.presentation.overall")
    assert (overall.status, overall.value) == (Status.INCONCLUSIVE, None)
    assert "does not fit" in overall.reason


def test_readings_that_are_the_truth_need_no_matrix():
    rows, pictures, _ = world(rates=np.eye(2, 3))
    evidence = audit(rows, pictures, None, matrices={"presentation": None})
    reader = evidence.find("bias.presentation.reader")
    assert (reader.status, reader.details["exact"]) == (Status.SKIPPED, True)
    share = (rows["value"] == "woman").mean()
    assert evidence.find("bias.presentation.overall").details["estimates"][0] == pytest.approx(share)


def test_three_groups_read_without_error_get_multinomial_intervals_and_the_exact_test():
    rows, pictures, _ = world(rates=np.eye(2, 3), images=12)
    schema = {"presentation": ("woman", "man", "neither")}
    found = Summarise(schema, {"presentation": None}, POLICY)(rows, pictures).find("bias.presentation.job0")
    assert found.interval.method.startswith("Goodman")
    counts = np.array(found.details["counts"][:-1])
    exact = multinomial_p(counts, np.full(3, 1 / 3), rng=np.random.default_rng(0))
    assert found.details["p_value"] == pytest.approx(exact)
    never = found.details["highs"][2]
    assert never == pytest.approx(clopper_pearson(0, 12, level=1 - 0.05 / 3).high, abs=1e-5)


def test_each_prompt_is_compared_with_its_own_reference():
    rows, pictures, _ = world(rates=np.eye(2, 3), share=0.85, images=60)
    own = {f"job{index}": {"woman": 0.85, "man": 0.15} for index in range(12)}
    policy = Policy(draws=600, references={"presentation": Reference("a survey", by_prompt=own)})
    evidence = audit(rows, pictures, None, matrices={"presentation": None}, policy=policy)
    assert evidence.find("bias.presentation.job3").details["reference"] == [0.85, 0.15]
    assert evidence.find("bias.presentation.job3").status is not Status.FAIL
    assert evidence.find("bias.presentation.job20").status is Status.FAIL
    overall = evidence.find("bias.presentation.overall").details
    assert overall["reference_name"] == "a survey"
    assert overall["reference"] == pytest.approx([0.675, 0.325])


def test_indices_and_four_fifths_are_in_the_evidence():
    evidence = audit(*world(rates=GOOD.rates, share=0.2))
    overall = evidence.find("bias.presentation.overall").details
    assert overall["four_fifths"] == "broken"
    assert overall["impact_ratio"][1] <= overall["impact_ratio"][0] <= overall["impact_ratio"][2]
    indices = evidence.find("bias.presentation.spread").details["indices"]
    assert set(indices) == {
        "total variation",
        "Jensen-Shannon distance",
        "entropy deficit",
        "impact shortfall",
    }
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence


@pytest.mark.parametrize(("change", "words"), [
    ({"image_id": "stranger"}, "not in the run, first 'stranger'"),
    ({"value": "child"}, "unknown values \\['child'\\]"),
    ({"attribute": "hats"}, "unknown attributes \\['hats'\\]"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_refused(change, words):
    rows, pictures, said = world(rates=GOOD.rates)
    for column, value in change.items():
        said.loc[0, column] = value
    with pytest.raises(InputError, match=words):
        audit(rows, pictures, said)


def test_labels_of_unread_images_are_left_out():
    rows, pictures, said = world(rates=GOOD.rates)
    broken = said["image_id"].iloc[0]
    rows.loc[rows["image_id"] == broken, ["status", "value", "attribute"]] = ["error", None, None]
    sample = sample_attribute(rows, pictures, attribute="presentation", schema=GROUPS, labels=said)
    assert sample.labelled[0].n_labels == 119
    assert sample.unread.sum() == 1


def test_an_image_that_occurs_twice_is_refused():
    rows, pictures, _ = world(rates=GOOD.rates)
    with pytest.raises(InputError, match="occurs twice"):
        sample_attribute(
            rows, pd.concat([pictures, pictures.head(1)]), attribute="presentation", schema=GROUPS
        )


def two_attributes(*, seed=0):
    """Presentation and glasses, worn by women only; readings are the truth."""
    rng = np.random.default_rng(seed)
    rows, pictures, _ = world(rates=np.eye(2, 3), seed=seed)
    worn = np.where((rows["value"] == "woman") & (rng.random(len(rows)) < 0.6), "yes", "no")
    return pd.concat([rows, rows.assign(attribute="glasses", value=worn)]), pictures


def test_cells_show_what_the_attributes_alone_hide():
    rows, pictures = two_attributes()
    schema = GROUPS | {"glasses": ("yes", "no")}
    evidence = Summarise(schema, {"presentation": None, "glasses": None}, POLICY)(rows, pictures)
    cells = evidence.find("bias.cells.presentation+glasses")
    assert cells.status is Status.SKIPPED
    place = cells.details["cells"].index(["man", "yes"])
    assert cells.details["highs"][place] < 0.05 < cells.details["if_independent"][place]
    assert cells.details["unshrunk"][place] == 0


def test_amplification_is_counted_against_the_training_data():
    rows, pictures, _ = world(rates=np.eye(2, 3), share=0.02, images=60)
    training = {"presentation": {"job0": {"woman": 300, "man": 700}, "job1": {"woman": 10, "man": 990}}}
    found = Summarise(GROUPS, {"presentation": None}, POLICY, training=training)(rows, pictures)
    check = found.find("bias.presentation.amplification")
    assert check.details["amplified"] == [1, 1]
    assert check.details["prompt_ids"] == ["job0", "job1"]


@pytest.mark.parametrize(("training", "words"), [
    ({"pilot": {"woman": 1, "man": 1}}, "not in the run: \\['pilot'\\]"),
    ({"job0": {"child": 1}}, "groups \\['child'\\]"),
])  # fmt: skip
def test_training_data_that_do_not_fit_are_refused(training, words):
    rows, pictures, _ = world(rates=np.eye(2, 3))
    summarise = Summarise(GROUPS, {"presentation": None}, POLICY, training={"presentation": training})
    with pytest.raises(InputError, match=words):
        summarise(rows, pictures)


def test_groups_of_prompts_are_described_with_intervals():
    rows, pictures, _ = world(rates=np.eye(2, 3))
    care = rows["prompt_id"].isin([f"job{index}" for index in range(8)])
    rows.loc[care, "value"] = "woman"
    group_of = {f"job{index}": "care" if index < 8 else "craft" for index in range(20)}
    found = Summarise(GROUPS, {"presentation": None}, POLICY, prompt_groups=group_of)(rows, pictures)
    details = found.find("bias.presentation.prompt_groups").details["by_group"]
    assert details["care"]["estimates"] == [1.0, 0.0]
    assert details["care"]["lows"][0] > 0.6  # eight prompts alone: Clopper-Pearson .63
    assert (details["care"]["n_prompts"], details["craft"]["n_prompts"]) == (8, 12)
    assert details["craft"]["highs"][0] < 0.75
    assert details["care"]["mean_gap"] == pytest.approx(0.5)
