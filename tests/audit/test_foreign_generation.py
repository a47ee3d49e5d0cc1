"""`assay generate` with each adapter, end to end: published, signed, verifiable, and the original's bytes kept."""

from __future__ import annotations

import io
import json
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import c2pa
import pytest
from PIL import Image

from audit.cli.main import main
from audit.run import RunDirectory
from generator.errors import CannotCheckError
from generator.marking.credentials import sign
from generator.marking.formats import media_type
from generator.marking.identity import development_identity
from generator.marking.labels import read_labels
from generator.marking.manifest import Disclosure, ManifestFacts, build_manifest
from generator.marking.publish import publish

sys.path.append(str(Path(__file__).parents[1] / "generator" / "adapters"))
from image_server import image_server, png


def signed_png(seed: int, folder: Path) -> bytes:
    """A picture with the Content Credentials of another maker."""
    identity = development_identity(folder)
    facts = ManifestFacts(
        title="theirs",
        asset_id="00000000000000aa",
        created=datetime(2026, 5, 1, tzinfo=UTC),
        generator="paint-5",
        version="5.1",
        weights_digest="",
        soft_binding_alg="",
        disclosure=Disclosure(model_type="c2pa.types.model"),
    )
    return sign(png(seed, side=256), "image/png", manifest=build_manifest(facts), identity=identity).data


def damage_manifest(data: bytes) -> bytes:
    """The same file with one byte of its manifest changed and the chunk's checksum made right again."""
    start = data.index(b"caBX")
    length = int.from_bytes(data[start - 4 : start], "big")
    chunk = bytearray(data[start : start + 4 + length])
    chunk[chunk.index(b"trainedAlgorithmicMedia")] ^= 1
    checksum = zlib.crc32(chunk).to_bytes(4, "big")
    return data[:start] + bytes(chunk) + checksum + data[start + 8 + length :]


def _large(fields: dict[str, Any]) -> bytes:
    return png(fields["seed"], side=256)


def _read(path: Path) -> dict[str, Any]:
    mime = media_type(path)
    with path.open("rb") as stream, c2pa.Reader(mime, stream) as reader:
        assert reader.get_validation_state() != "Invalid"
        document: dict[str, Any] = json.loads(reader.json())
    return document


def _active(document: dict[str, Any]) -> dict[str, Any]:
    active: dict[str, Any] = document["manifests"][document["active_manifest"]]
    return active


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    return next(a["data"] for a in manifest["assertions"] if a["label"].startswith(label))


def _generate(out: Path, *words: str) -> tuple[int, RunDirectory]:
    code = main(["generate", "--out", str(out), *words])
    return code, RunDirectory.open(out)


def test_an_image_of_a_service_becomes_the_parent_of_ours_and_keeps_its_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = signed_png(5, tmp_path / "their-identity")
    with image_server() as server:
        server.picture = lambda _: theirs
        words = (
            "--generator",
            f"openai:{server.url}",
            "--option",
            "model=paint-5",
            "--option",
            "version=5.1",
        )
        code, run = _generate(tmp_path / "run", *words, "--prompt", "a portrait of a nurse")
        assert code == 0
        row = run.rows("images").iloc[0]
        original = run.path / row["original"]
        assert original.parent == run.path / "originals"
        assert original.read_bytes() == theirs
        document = _read(run.path / row["path"])
        active = _active(document)
        (ingredient,) = active["ingredients"]
        assert ingredient["relationship"] == "parentOf"
        assert document["manifests"][ingredient["active_manifest"]]["title"] == "theirs"
        actions = [action["action"] for action in _assertion(active, "c2pa.actions")["actions"]]
        assert actions[0] == "c2pa.opened"
        assert "c2pa.created" not in actions
        assert _assertion(active, "c2pa.ai-disclosure")["modelName"] == "paint-5"
        record = run.record()
        assert record["generator"] == {
            "name": "paint-5",
            "version": "5.1",
            "weights_digest": "",
            "in_generation_mark": False,
        }
        capsys.readouterr()
        assert main(["verify", str(run.path / row["path"]), "--json"]) in {0, 3}
        again, _ = _generate(tmp_path / "run", *words, "--prompt", "a portrait of a nurse")
        assert again == 0
        assert server.made == 1


def test_a_run_that_was_killed_pays_for_no_image_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Path] = []

    def fail_at_third(image, path, **named):
        if len(published) == 2:
            raise CannotCheckError("power cut")
        published.append(path)
        return publish(image, path, **named)

    with image_server() as server:
        server.picture = _large
        words = ("--generator", f"openai:{server.url}", "--prompt", "a nurse", "--count", "5")
        with monkeypatch.context() as cut:
            cut.setattr("audit.generation.publish", fail_at_third)
            assert main(["generate", "--out", str(tmp_path / "run"), *words]) == 4
        assert server.made == 3
        code, run = _generate(tmp_path / "run", *words)
        assert code == 0
        assert server.made == 5
    seeds = [fields["seed"] for fields, _ in server.asked]
    assert len(set(seeds)) == 5
    assert list(run.rows("images")["replicate"]) == [0, 1, 2, 3, 4]


def test_a_declined_prompt_and_a_picture_too_small_to_mark_are_rows_with_the_reason(tmp_path: Path) -> None:
    with image_server("policy") as server:
        server.picture = lambda fields: png(1, side=256 if server.made == 1 else 64)
        words = ("--generator", f"openai:{server.url}", "--prompt", "a nurse", "--count", "3")
        code, run = _generate(tmp_path / "run", *words)
    assert code == 4
    rows = run.rows("images")
    assert list(rows["status"]) == ["error", "pass", "error"]
    assert "not this one" in rows["reason"][0]
    assert "64 x 64 px" in rows["reason"][2]
    assert not (run.path / rows["path"][0]).exists()


def test_a_folder_is_published_in_its_own_formats_and_its_files_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    theirs = signed_png(1, tmp_path / "their-identity")
    (folder / "a.png").write_bytes(theirs)
    target = io.BytesIO()
    Image.open(io.BytesIO(png(2, side=256))).save(target, "JPEG", quality=90)
    (folder / "b.jpg").write_bytes(target.getvalue())
    (folder / "c.bmp").write_bytes(b"BM nothing")
    (folder / "d.png").write_bytes(damage_manifest(theirs))
    names = ("a.png", "b.jpg", "c.bmp", "d.png")
    (folder / "prompts.csv").write_text(
        "file,prompt,prompt_id\n" + "".join(f"{n},a nurse,nurse\n" for n in names)
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    words = ("--generator", f"folder:{folder}", "--option", "name=paint-5", "--option", "version=5.1")
    code, run = _generate(tmp_path / "run", *words)
    assert code == 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    rows = run.rows("images")
    assert list(rows["status"]) == ["pass", "pass", "error", "error"]
    assert list(rows["path"][:2]) == ["images/nurse-0000.png", "images/nurse-0001.jpg"]
    assert (run.path / rows["original"][0]).read_bytes() == theirs
    assert rows["original"][1] == str(folder / "b.jpg")
    assert "do not verify" in rows["reason"][3]
    assert rows["seed"].isna().all()
    first, second = (_active(_read(run.path / path)) for path in rows["path"][:2])
    assert first["ingredients"][0]["relationship"] == "parentOf"
    assert not second.get("ingredients")
    created = _assertion(second, "c2pa.actions")["actions"][0]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert created["softwareAgent"] == {"name": "paint-5", "version": "5.1"}
    assert _assertion(second, "c2pa.ai-disclosure")["modelType"] == "c2pa.types.model"
    assert read_labels(run.path / rows["path"][1]).system == "paint-5"
    assert run.record()["generator"]["in_generation_mark"] is False


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_credentials_of_lossy_files_become_the_parent_and_the_bytes_stay(
    tmp_path: Path, form: str, suffix: str
) -> None:
    stream = io.BytesIO()
    Image.open(io.BytesIO(png(4, side=256))).save(stream, form, quality=90)
    facts = ManifestFacts(
        title="theirs",
        asset_id="00000000000000ab",
        created=datetime(2026, 5, 1, tzinfo=UTC),
        generator="paint-5",
        version="5.1",
        weights_digest="",
        soft_binding_alg="",
        disclosure=Disclosure(model_type="c2pa.types.model"),
    )
    identity = development_identity(tmp_path / "their-identity")
    mime = f"image/{form.lower()}"
    theirs = sign(stream.getvalue(), mime, manifest=build_manifest(facts), identity=identity).data
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / f"a{suffix}").write_bytes(theirs)
    (folder / "prompts.csv").write_text(f"file,prompt\na{suffix},a nurse\n")
    code, run = _generate(tmp_path / "run", "--generator", f"folder:{folder}", "--option", "name=paint-5")
    assert code == 0
    row = run.rows("images").iloc[0]
    assert row["path"].endswith(suffix)
    assert (run.path / row["original"]).read_bytes() == theirs == (folder / f"a{suffix}").read_bytes()
    document = _read(run.path / row["path"])
    (ingredient,) = _active(document)["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert document["manifests"][ingredient["active_manifest"]]["title"] == "theirs"


def test_our_own_published_image_is_not_marked_over(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(1, side=256))
    (folder / "prompts.csv").write_text("file,prompt\na.png,a nurse\n")
    _, run = _generate(tmp_path / "run", "--generator", f"folder:{folder}", "--option", "name=x")
    (folder / "a.png").write_bytes((run.path / run.rows("images")["path"][0]).read_bytes())
    code, second = _generate(tmp_path / "second", "--generator", f"folder:{folder}", "--option", "name=x")
    assert code == 4
    assert "carries our watermark already" in second.rows("images")["reason"][0]


@pytest.mark.timeout(900)  # importing diffusers takes minutes on a busy machine
@pytest.mark.filterwarnings("ignore")
def test_a_diffusers_pipeline_is_published_like_the_embedded_generator(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from tiny_pipelines import save_stable_diffusion

    model = save_stable_diffusion(tmp_path / "model", contrast=0.1)
    words = ("--generator", f"diffusers:{model}", "--option", "steps=1", "--option", "size=128x128")
    code, run = _generate(tmp_path / "run", *words, "--prompt", "a nurse", "--steer", "age=older")
    assert code == 0
    row = run.rows("images").iloc[0]
    assert (row["prompt"], row["steered_prompt"], row["steering"]) == (
        "a nurse",
        "an old nurse",
        '{"age": "old"}',
    )
    active = _active(_read(run.path / row["path"]))
    created = _assertion(active, "c2pa.actions")["actions"][0]
    assert created["softwareAgent"]["name"] == "sd"
    assert _assertion(active, "c2pa.ai-disclosure")["modelIdentifier"] == row["weights_digest"]
    record = run.record()
    assert record["generator"]["in_generation_mark"] is True
    assert record["steering"] == {"age": {"old": 1}}
    assert row["original"] == ""
    assert not (run.path / "originals").exists()
    (model / "unet" / "config.json").write_text((model / "unet" / "config.json").read_text() + "\n")
    record["stages"] = {}
    (run.path / "run.json").write_text(json.dumps({**record, "finished": None}))
    assert (
        main(["generate", "--out", str(run.path), *words, "--prompt", "a nurse", "--steer", "age=older"]) == 2
    )


@pytest.mark.timeout(900)  # importing diffusers takes minutes on a busy machine
@pytest.mark.filterwarnings("ignore")
def test_pictures_of_a_diffusers_run_are_named_by_its_record(tmp_path, capsys):
    pytest.importorskip("diffusers")
    from tiny_pipelines import save_stable_diffusion

    model = save_stable_diffusion(tmp_path / "model", contrast=0.2, legible=True)
    words = ["--generator", f"diffusers:{model}", "--option", "steps=2", "--option", "size=128x128"]
    run = tmp_path / "run"
    assert main(["generate", *words, "--out", str(run), "--prompt", "a nurse", "--count", "2"]) == 0
    rows = RunDirectory.open(run).rows("images")
    path = tmp_path / "sent.jpg"
    Image.open(run / rows["path"][1]).convert("RGB").crop((5, 9, 121, 125)).save(path, quality=95)
    capsys.readouterr()
    assert main(["seed", str(path), "--issued", str(run), "--json"]) == 0
    (evidence,) = json.loads(capsys.readouterr().out)
    sampling, together = evidence["checks"]
    assert sampling["details"]["seed"] == rows["seed"][1]
    assert sampling["details"]["undone"] == "a crop"
    assert f"diffusers:{model}" in sampling["reason"]
    assert together["value"] < sampling["value"]
    listed = tmp_path / "seeds.txt"
    listed.write_text("\n".join(rows["seed"]))
    assert main(["seed", str(run / rows["path"][0]), "--issued", str(listed), *words]) == 0
    assert f"Seed {rows['seed'][0]} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--family", "gan"), "family 'gan' is unknown; use autoregressive"),
        (("--steer", "age=ancient:0.5"), "unknown value 'ancient' of age; expected one of young"),
        (("--fair", "age=old:0.5"), "sum to 0.5, expected 1"),
        (
            ("--prompt", "a nurse " * 14),
            "too long for the embedded generator, which does not read its last 2 words",
        ),
        (("--traits", "t.yaml"), "nothing is steered"),
        (("--generator", "dall-e"), "generator 'dall-e' is unknown"),
    ],
)
def test_bad_input_is_named_and_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert main(["generate", "--out", str(tmp_path / "run"), *words]) == 2
    assert message in capsys.readouterr().err
