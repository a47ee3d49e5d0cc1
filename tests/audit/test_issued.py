"""Naming the issued seed of a picture: found without metadata, silent for others, and bad lists are refused."""

import pytest
from PIL import Image

from audit.cli.main import main
from audit.evidence import Status
from audit.issued import check_seed, load_issued
from audit.run import RunDirectory
from generator.embedded import EmbeddedGenerator
from generator.errors import InputError
from generator.interface import Prompt, Request

SEEDS = range(5000, 5400)
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def generator():
    return EmbeddedGenerator.load()


@pytest.fixture(scope="module")
def pictures(generator):
    """Pictures by their seed; some leave little to choose, so not every one bears a strong mark."""
    requests = [Request(Prompt("p", "a portrait"), 0, seed) for seed in range(5100, 5108)]
    return {image.request.seed: image.pixels for image in generator.generate(requests)}


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "seeds.txt"
    path.write_text("\n".join(map(str, SEEDS)))
    return path


def test_own_seed_is_named(generator, pictures, listed):
    issued = load_issued(listed)
    checks = {seed: check_seed(pixels, issued, generator) for seed, pixels in pictures.items()}
    named = {seed: check for seed, check in checks.items() if check.status is Status.PASS}
    assert len(named) >= 6
    for seed, check in named.items():
        assert check.details == {"seed": str(seed), "tried": 400, "public_key": True}
        assert check.value < -6
        assert "anyone could have made it" in check.reason


def test_another_key_or_seed_names_nobody(generator, pictures, listed, tmp_path):
    others = tmp_path / "others.txt"
    others.write_text("1\n2\n3\n")
    for pixels in pictures.values():
        assert check_seed(pixels, load_issued(listed), generator, key=KEY).status is Status.INCONCLUSIVE
        check = check_seed(pixels, load_issued(others), generator)
        assert check.status is Status.INCONCLUSIVE
        assert check.details["seed"] is None


def test_a_private_key_names_what_it_made(listed):
    generator = EmbeddedGenerator.load(key=KEY)
    requests = [Request(Prompt("p", "a portrait"), 0, seed) for seed in range(5100, 5108)]
    checks = [
        check_seed(image.pixels, load_issued(listed), generator, key=KEY)
        for image in generator.generate(requests)
    ]
    named = [int(check.details["seed"]) for check in checks if check.details["seed"]]
    assert len(named) >= 6
    assert set(named) <= set(range(5100, 5108))
    assert not any(check.details["public_key"] for check in checks)


def test_seeds_of_a_run(tmp_path):
    run = RunDirectory.create(tmp_path / "run", record={})
    rows = [
        {"image_id": "a", "generator": "assay-masked", "seed": "7"},
        {"image_id": "b", "generator": "assay-masked", "seed": str(2**64 - 1)},
    ]
    run.append("images", rows)
    issued = load_issued(run.path)
    assert issued.family == "masked"
    assert issued.seeds.tolist() == [7, 2**64 - 1]


def test_a_run_of_another_sampler_is_refused(tmp_path):
    run = RunDirectory.create(tmp_path / "run", record={})
    run.append("images", [{"image_id": "a", "generator": "some-service", "seed": "7"}])
    with pytest.raises(InputError, match="some-service.*leaves no sampling mark"):
        load_issued(run.path)


@pytest.mark.parametrize("text", ["", "-1", "1.5", str(2**64), "x"])
def test_bad_lists_are_refused(tmp_path, text):
    path = tmp_path / "seeds.txt"
    path.write_text(text)
    with pytest.raises(InputError, match="is no seed"):
        load_issued(path)


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
