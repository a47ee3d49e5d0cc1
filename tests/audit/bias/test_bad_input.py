"""What cannot be measured gives a clear error or `inconclusive`, never a number of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.bias.comparison import compare_runs
from audit.bias.readings import ErrorMatrix, Readings
from audit.bias.reference import as_reference
from audit.bias.summary import Summarise
from audit.evidence import Status
from generator.errors import InputError

SCHEMA = {"presentation": ("woman", "man")}
GOOD = {"presentation": ErrorMatrix(np.array([[240, 10, 0], [10, 240, 0]]), SCHEMA["presentation"])}


def tables(counts):
    """Rows and images of prompts with (women, men) read."""
    said = [(prompt, value) for prompt, pair in counts.items()
            for value, n in zip(SCHEMA["presentation"], pair, strict=True) for _ in range(n)]  # fmt: skip
    images = pd.DataFrame(
        [(f"i{number}", prompt, prompt) for number, (prompt, _) in enumerate(said)],
        columns=["image_id", "prompt_id", "prompt"],
    )
    rows = images[["image_id", "prompt_id"]].assign(
        attribute="presentation",
        value=[value for _, value in said],
        probabilities="{}",
        status="pass",
        reason="r",
    )
    return rows, images


def labels(images, value="woman", attribute="presentation"):
    return pd.DataFrame({"image_id": images, "attribute": attribute, "value": value, "annotator": "one"})


def test_an_unknown_value_is_named():
    rows, images = tables({"a": (5, 5)})
    rows.loc[0, "value"] = "robot"
    with pytest.raises(InputError, match="robot"):
        Summarise(SCHEMA, GOOD)(rows, images)


def test_labels_of_images_that_are_not_in_the_run_are_named():
    with pytest.raises(InputError, match=r"1 images are not in the run, first 'elsewhere'"):
        Summarise(SCHEMA, GOOD, labels=labels(["i0", "elsewhere"]))(*tables({"a": (5, 5)}))


def test_one_prompt_allows_no_verdict_about_prompts_of_its_kind():
    found = Summarise(SCHEMA, GOOD)(*tables({"a": (40, 0)}))
    overall = found.find("bias.presentation.overall")
    assert overall.status is Status.INCONCLUSIVE
    assert overall.details["claim"] == "these prompts"
    assert not overall.details.get("clustering", {}).get("identified", False)


def test_a_prompt_without_images_has_no_share():
    rows, images = tables({"a": (9, 1), "b": (1, 9)})
    lost = images["prompt_id"] == "b"
    rows.loc[lost, ["attribute", "value"]] = None
    rows.loc[lost, "status"] = "error"
    check = Summarise(SCHEMA, GOOD)(rows, images).find("bias.presentation.b")
    assert check.status is Status.INCONCLUSIVE
    assert check.value is None
    assert "estimates" not in check.details


def test_groups_that_differ_from_the_reference_are_named():
    with pytest.raises(InputError, match=r"female.*woman|woman.*female"):
        as_reference({"female": 0.5, "man": 0.5}).table(SCHEMA["presentation"], ("a",))


def test_groups_that_differ_between_runs_are_named():
    first = Readings(np.array([[3, 3, 0]]), ("woman", "man"), ("a",))
    second = Readings(np.array([[3, 3, 0]]), ("60+", "younger"), ("a",))
    with pytest.raises(InputError, match=r"woman.*60\+"):
        compare_runs(first, second, matrices=(None, None), rng=np.random.default_rng(0))


def test_a_reference_that_does_not_sum_to_one_is_refused():
    with pytest.raises(InputError, match="sum"):
        as_reference({"woman": 0.5, "man": 0.6}).table(SCHEMA["presentation"], ("a",))


def test_a_reader_that_always_answers_the_same_gives_no_number():
    same = {"presentation": ErrorMatrix(np.array([[250, 0, 0], [250, 0, 0]]), SCHEMA["presentation"])}
    found = Summarise(SCHEMA, same)(*tables({f"p{n}": (12, 0) for n in range(24)}))
    overall = found.find("bias.presentation.overall")
    assert overall.status is Status.INCONCLUSIVE
    assert overall.value is None
