"""`--watermark full --issued`: marks that sampling leaves are told beside the watermark, and never as ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from audit.cli.main import main
from audit.evidence import Status
from audit.issued import load_issued
from audit.provenance.checks_marks import check_all_watermarks, check_sampling, check_watermark
from audit.provenance.gather import build_setup, examine
from audit.provenance.layers import Layers, Watermark, WatermarkState
from audit.provenance.techniques import ask_others
from audit.provenance.verdict import VERDICT, judge
from audit.run import RunDirectory
from generator.embedded import EmbeddedGenerator
from generator.errors import InputError, WeightsError
from generator.interface import Prompt, Request
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import ALPHA, Pixels
from generator.marking.watermark.keyring import Keyring
from generator.marking.watermark.keys import WatermarkKey, load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.noise import PUBLIC_KEY
from generator.sampling_keys import NOISE, TOKENS, Issued, SamplingKey
from generator.sources import Source

SECRET = bytes(range(40))
SEED = 5103
SEEDS = np.arange(5000, 5200, dtype=np.uint64)
TITLE = "token mark of the autoregressive and masked families"


def draw(key: bytes) -> Pixels:
    (image,) = EmbeddedGenerator.load(key=key).generate([Request(Prompt("p", "a portrait"), 0, SEED)])
    return image.pixels


@pytest.fixture(scope="module")
def drawn() -> dict[bytes, Pixels]:
    """One picture by the key of its sampling."""
    return {key: draw(key) for key in (PUBLIC_KEY, SECRET)}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.txt"
    path.write_text("\n".join(map(str, SEEDS)))
    return path


def issue(family: str = "", *, secret: bytes = PUBLIC_KEY, seeds: NDArray[np.uint64] = SEEDS) -> Issued:
    return Issued(SamplingKey(secret, seeds=seeds), Source(family=family))


def save(pixels: Pixels, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def look(pixels: Pixels, folder: Path, *issued: Issued) -> Layers:
    return examine(save(pixels, folder / "a.png"), build_setup(search="full", issued=issued))


def test_every_sampler_is_asked_for_a_list_that_names_none(
    drawn: dict[bytes, Pixels], listed: Path, tmp_path: Path
) -> None:
    layers = look(drawn[PUBLIC_KEY], tmp_path, load_issued(listed))
    others = layers.watermark.others
    assert [one.scheme for one in others.sampling] == [TOKENS, NOISE]
    assert [one.seed for one in others.sampling] == [SEED, None]
    said = {one.title: one.reason for one in others.asked}
    assert said[TITLE].startswith(f"Seed {SEED} of the token families made this picture")
    assert said["noise mark of the diffusion family"].startswith("None of 200 seeds is named")
    assert said["noise mark in the latents of a diffusers pipeline"].startswith(
        "not looked for, there is no file"
    )
    (check,) = check_sampling(layers)
    assert (check.name, check.status) == ("watermark.sampling", Status.PASS)
    assert check.details["seed"] == str(SEED)


def test_a_find_under_the_public_key_is_told_but_is_none_of_ours(
    drawn: dict[bytes, Pixels], assay_home: Path, tmp_path: Path
) -> None:
    load_or_create_key(assay_home)
    plain = look(drawn[PUBLIC_KEY], tmp_path)
    layers = look(drawn[PUBLIC_KEY], tmp_path, issue("autoregressive"))
    assert layers.watermark.state is WatermarkState.ABSENT
    assert TOKENS not in dict(layers.watermark.searched)
    assert check_watermark(layers).value == "absent"
    assert f"Of 3 other techniques, {TITLE} found a mark." in (check_watermark(layers).reason)
    (check,) = check_sampling(layers)
    assert "The key is public, so anyone could have made it." in check.reason
    assert (check.details["key_id"], check.details["public_key"]) == ("public", True)
    assert check_all_watermarks(layers)[0].status is Status.INCONCLUSIVE
    words = [judge(one).find(VERDICT).value for one in (plain, layers)]
    assert words[0] == words[1]


def test_a_find_under_a_secret_key_counts_among_all_marks(
    drawn: dict[bytes, Pixels], assay_home: Path, tmp_path: Path
) -> None:
    load_or_create_key(assay_home)
    issued = issue("autoregressive", secret=SECRET)
    layers = look(drawn[SECRET], tmp_path, issued)
    (mark,) = layers.watermark.others.sampling
    assert (mark.seed, mark.key_id) == (SEED, issued.key.key_id)
    assert dict(layers.watermark.searched)[TOKENS] == mark.log10_p
    assert check_all_watermarks(layers)[0].status is Status.PASS
    assert check_watermark(layers).value == "absent"
    assert not look(drawn[PUBLIC_KEY], tmp_path, issued).watermark.others.sampling[0].found


def test_it_is_asked_without_a_watermark_key_also(drawn: dict[bytes, Pixels], tmp_path: Path) -> None:
    layers = look(drawn[PUBLIC_KEY], tmp_path, issue("autoregressive"))
    assert layers.watermark.state is WatermarkState.NO_KEY
    assert check_sampling(layers)[0].details["seed"] == str(SEED)


def test_the_watermark_undoes_a_crop_before_the_seed_is_read(
    drawn: dict[bytes, Pixels], assay_home: Path, tmp_path: Path
) -> None:
    key = load_or_create_key(assay_home)
    cut = DEFAULT.embed(drawn[PUBLIC_KEY], AssetId(5), key=key).pixels[9:239, 17:247]
    layers = look(cut, tmp_path, issue("autoregressive"))
    assert layers.watermark.state is WatermarkState.FOUND
    (check,) = check_sampling(layers)
    assert (check.details["seed"], check.details["undone"]) == (str(SEED), "a crop")
    assert float(str(check.details["log10_p_as_is"])) > -3


def test_all_that_are_asked_share_one_level(drawn: dict[bytes, Pixels]) -> None:
    lists = [issue(), issue("masked", secret=SECRET)]
    others = ask_others(drawn[PUBLIC_KEY], Keyring((WatermarkKey.generate(),)), issued=lists)
    assert [one.key_id for one in others.sampling] == ["public", lists[1].key.key_id, "public"]
    assert len(others.detections) == 2
    assert others.level == ALPHA / 5
    assert f"more than {ALPHA / 5:.2g}" in others.sampling[1].reason


def test_without_a_seed_named_it_is_never_pass(drawn: dict[bytes, Pixels], tmp_path: Path) -> None:
    none = issue("autoregressive", seeds=SEEDS[:5])
    layers = look(drawn[PUBLIC_KEY], tmp_path, none)
    assert check_sampling(layers)[0].status is Status.INCONCLUSIVE
    found = Watermark(WatermarkState.FOUND, "", payload="0" * 16, others=layers.watermark.others)
    object.__setattr__(layers, "watermark", found)
    assert check_watermark(layers).status is Status.PASS
    assert check_sampling(layers)[0].status is Status.INCONCLUSIVE


def test_seeds_of_other_weights_are_said_not_to_be_asked(drawn: dict[bytes, Pixels], tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", record={})
    row = {"image_id": "a", "generator": "assay-masked", "seed": "7", "weights_digest": "sha256:" + "0" * 64}
    run.append("images", [row])
    layers = look(drawn[PUBLIC_KEY], tmp_path, load_issued(run.path))
    said = {one.title: one.reason for one in layers.watermark.others.asked}
    assert said[TITLE].startswith("could not be asked, the seeds were given to")
    assert check_sampling(layers) == ()


def test_what_is_missing_is_said(drawn: dict[bytes, Pixels], monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(source: Source) -> None:
        raise WeightsError(f"{source.family} weights are damaged")

    monkeypatch.setattr("generator.sampling_readers._load", damaged)
    others = ask_others(drawn[PUBLIC_KEY], None, issued=[issue("diffusion")])
    reasons = {one.title: one.reason for one in others.asked}
    assert (
        reasons["noise mark of the diffusion family"] == "could not be asked, diffusion weights are damaged."
    )
    assert reasons[TITLE].startswith("not looked for, no issued seeds are known; name the run")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    others = ask_others(drawn[PUBLIC_KEY], None, issued=[issue("diffusion")])
    said = [one.reason for one in others.asked if one.title.startswith("noise mark of")]
    assert said == ["not looked for, the Python package torch is not installed."]
    assert others.sampling == ()


def test_command(
    drawn: dict[bytes, Pixels], listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, secret = save(drawn[SECRET], tmp_path / "a.png"), tmp_path / "sampling.key"
    secret.write_bytes(SECRET)
    words = [
        "verify",
        str(path),
        "--watermark",
        "full",
        "--issued",
        str(listed),
        "--sampling-key",
        str(secret),
    ]
    main([*words, "--json"])
    text = capsys.readouterr().out
    (asset,) = json.loads(text)["assets"]
    (check,) = (one for one in asset["checks"] if one["name"] == "watermark.sampling")
    assert (check["status"], check["details"]["seed"]) == ("pass", str(SEED))
    assert SECRET.hex() not in text
    assert repr(SECRET)[2:-1] not in text
    main(words)
    assert f"seed          pass          Seed {SEED} of the token families" in capsys.readouterr().out


def test_seeds_that_nobody_would_look_for_are_refused(
    listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(listed), "--issued", str(listed)]) == 2
    assert "add --watermark full" in capsys.readouterr().err
    assert main(["verify", str(listed), "--watermark", "full", "--sampling-key", str(listed)]) == 2
    assert "add --issued" in capsys.readouterr().err
    with pytest.raises(InputError, match="family 'adversarial' leaves no sampling mark"):
        load_issued(listed, source=Source(family="adversarial"))
    listed.write_bytes(b"short")
    seeds = tmp_path / "one.txt"
    seeds.write_text("7")
    words = ["--watermark", "full", "--issued", str(seeds), "--sampling-key", str(listed)]
    assert main(["verify", str(listed), *words]) == 2
    assert "sampling key has 5 bytes, expected 16 to 64" in capsys.readouterr().err


def test_the_full_search_loads_no_torch_for_nothing(tmp_path: Path, assay_home: Path) -> None:
    load_or_create_key(assay_home)
    path = save(np.full((256, 256, 3), 90, np.uint8), tmp_path / "a.png")
    program = (
        "import sys; from audit.cli.main import main\n"
        f"main(['verify', {str(path)!r}, '--watermark', 'full', '--jsonl'])\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{TITLE}: not looked for" in done.stdout
