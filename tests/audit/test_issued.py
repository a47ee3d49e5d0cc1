"""Naming the issued seed of a picture: found without metadata, silent for others, and bad lists are refused."""

import json

import numpy as np
import pytest
from PIL import Image

from audit.cli.main import main
from audit.evidence import Status
from audit.issued import check_picture, load_issued
from audit.run import RunDirectory
from generator.embedded import EmbeddedGenerator
from generator.errors import InputError
from generator.interface import Prompt, Request
from generator.marking.identity import assay_home
from generator.marking.payload import AssetId
from generator.marking.watermark.keyring import Keyring
from generator.marking.watermark.keys import WatermarkKey, load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.sampling_keys import Issued, SamplingKey
from generator.sampling_readers import load_mark
from generator.sources import Source

SEEDS = range(5000, 5400)
KEY = bytes(range(32))
WATERMARK_KEY = WatermarkKey(bytes(range(7, 39)))
KEYRING = Keyring((WatermarkKey(bytes(32)),), retired=(WATERMARK_KEY,))


@pytest.fixture(scope="module")
def mark():
    return load_mark(Issued(SamplingKey(KEY), Source()))


@pytest.fixture(scope="module")
def pictures(mark):
    """Pictures by their seed; some leave little to choose, so not every one bears a strong mark."""
    requests = [Request(Prompt("p", "a portrait"), 0, seed) for seed in range(5100, 5108)]
    return {image.request.seed: image.pixels for image in mark.generator.generate(requests)}


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "seeds.txt"
    path.write_text("\n".join(map(str, SEEDS)))
    return path


def test_own_seed_is_named(mark, pictures, listed):
    issued = load_issued(listed)
    checks = {seed: check_picture(pixels, issued, mark)[0] for seed, pixels in pictures.items()}
    named = {seed: check for seed, check in checks.items() if check.status is Status.PASS}
    assert len(named) >= 6
    for seed, check in named.items():
        assert (check.details["seed"], check.details["tried"]) == (str(seed), 400)
        assert check.details["public_key"]
        assert check.details["undone"] is None
        assert check.value == check.details["log10_p_as_is"] < -6
        assert "anyone could have made it" in check.reason


def test_another_key_or_seed_names_nobody(mark, pictures, listed, tmp_path):
    others = tmp_path / "others.txt"
    others.write_text("1\n2\n3\n")
    for pixels in pictures.values():
        (check,) = check_picture(pixels, load_issued(listed, secret=KEY), mark)
        assert check.status is Status.INCONCLUSIVE
        (check,) = check_picture(pixels, load_issued(others), mark)
        assert check.status is Status.INCONCLUSIVE
        assert check.details["seed"] is None


def test_a_private_key_names_what_it_made(mark, listed):
    generator = EmbeddedGenerator.load(key=KEY)
    requests = [Request(Prompt("p", "a portrait"), 0, seed) for seed in range(5100, 5108)]
    checks = [
        check_picture(image.pixels, load_issued(listed, secret=KEY), mark)[0]
        for image in generator.generate(requests)
    ]
    named = [int(check.details["seed"]) for check in checks if check.details["seed"]]
    assert len(named) >= 6
    assert set(named) <= set(range(5100, 5108))
    assert not any(check.details["public_key"] for check in checks)


def _rotate(pixels):
    return np.asarray(Image.fromarray(pixels).rotate(5, Image.Resampling.BICUBIC))


def _cut(pixels):
    return pixels[9:239, 17:247].copy()


def _enlarge(pixels):
    return np.asarray(Image.fromarray(pixels).resize((350, 350), Image.Resampling.BICUBIC))[40:]


@pytest.fixture(scope="module")
def marked(pictures):
    """With the watermark, as they are published."""
    return {
        seed: DEFAULT.embed(pixels, AssetId(seed), key=WATERMARK_KEY).pixels
        for seed, pixels in list(pictures.items())[:4]
    }


@pytest.mark.parametrize("change", [_rotate, _cut, _enlarge])
def test_the_watermark_undoes_what_hides_the_seed(mark, marked, listed, change):
    issued = load_issued(listed)
    named = 0
    for seed, pixels in marked.items():
        changed = change(pixels)
        check, together = check_picture(changed, issued, mark, keyring=KEYRING)
        assert check.details["log10_p_as_is"] > -3
        assert together.status is Status.PASS
        assert together.value < check.value
        if check.details["seed"] is not None:
            named += 1
            assert check.details["seed"] == str(seed)
            assert check.details["undone"] is not None
            assert "undoing" in check.reason
    assert named >= 2


def test_placements_are_paid_for(mark, marked, listed):
    """One placement beside the picture as it came: twice the p-value of the better reading."""
    issued = load_issued(listed)
    seed, pixels = next(iter(marked.items()))
    (alone,) = check_picture(pixels, issued, mark)
    check, _ = check_picture(_cut(pixels), issued, mark, keyring=KEYRING)
    assert check.value > alone.value
    other = check_picture(_cut(pixels), load_issued(listed, secret=KEY), mark, keyring=KEYRING)
    assert other[0].status is Status.INCONCLUSIVE
    assert other[1].status is Status.PASS  # by the watermark
    unmarked = check_picture(_rotate(pixels), issued, mark, keyring=Keyring((WatermarkKey(bytes(32)),)))
    assert [check.status for check in unmarked] == [Status.INCONCLUSIVE] * 2


def test_seeds_of_a_run(tmp_path):
    run = RunDirectory.create(tmp_path / "run", record={})
    rows = [
        {"image_id": "a", "generator": "assay-masked", "seed": "7"},
        {"image_id": "b", "generator": "assay-masked", "seed": str(2**64 - 1)},
    ]
    run.append("images", rows)
    issued = load_issued(run.path)
    assert issued.source == Source(family="masked")
    assert issued.key.seeds.tolist() == [7, 2**64 - 1]


def test_a_run_of_another_sampler_is_refused(tmp_path):
    run = RunDirectory.create(tmp_path / "run", record={})
    run.append("images", [{"image_id": "a", "generator": "some-service", "seed": "7"}])
    with pytest.raises(InputError, match="some-service.*leaves no sampling mark"):
        load_issued(run.path)


def test_a_run_of_other_weights_is_refused(tmp_path):
    run = RunDirectory.create(tmp_path / "run", record={})
    row = {"image_id": "a", "generator": "assay-masked", "seed": "7", "weights_digest": "sha256:" + "0" * 64}
    run.append("images", [row])
    with pytest.raises(InputError, match="restore the model of that run"):
        load_mark(load_issued(run.path))


def test_a_source_without_our_noise_is_refused(tmp_path, listed):
    source = Source("openai:https://example.org")
    with pytest.raises(InputError, match="its noise is not ours"):
        load_issued(listed, source=source)
    record = {"config": {"source": {"spec": "folder:/x", "options": []}}}
    run = RunDirectory.create(tmp_path / "run", record=record)
    run.append("images", [{"image_id": "a", "generator": "x", "seed": "7"}])
    with pytest.raises(InputError, match="folder:/x leaves no sampling mark"):
        load_issued(run.path)


@pytest.mark.parametrize("text", ["", "-1", "1.5", str(2**64), "x"])
def test_bad_lists_are_refused(tmp_path, text):
    path = tmp_path / "seeds.txt"
    path.write_text(text)
    with pytest.raises(InputError, match="is no seed"):
        load_issued(path)


def test_command_with_the_watermark_key_of_this_machine(pictures, listed, tmp_path, capsys):
    key = load_or_create_key(assay_home())
    seed, pixels = next(iter(pictures.items()))
    path = tmp_path / "turned.png"
    Image.fromarray(_rotate(DEFAULT.embed(pixels, AssetId(5), key=key).pixels)).save(path)
    assert main(["seed", str(path), "--issued", str(listed), "--json"]) in (0, 3)
    (evidence,) = json.loads(capsys.readouterr().out)
    names = [check["name"] for check in evidence["checks"]]
    assert names == ["watermark.sampling", "marks.combined"]
    assert evidence["checks"][0]["details"]["seed"] in (str(seed), None)
    assert evidence["checks"][1]["status"] == "pass"


def test_command(pictures, listed, tmp_path, capsys):
    files = []
    for seed, pixels in pictures.items():
        files.append(str(tmp_path / f"{seed}.jpg"))
        Image.fromarray(pixels).save(files[-1], quality=90)
    assert main(["seed", *files, "--issued", str(listed)]) in (0, 3)
    out = capsys.readouterr().out
    assert sum(f"Seed {seed} " in out for seed in pictures) >= 6
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert main(["seed", files[0], str(broken), "--issued", str(listed)]) == 4
