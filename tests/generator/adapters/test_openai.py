"""The adapter of hosted services: what is retried, kept and never paid twice, and where keys never go."""

from __future__ import annotations

import errno
import json
from email.utils import formatdate
from pathlib import Path
from time import time

import numpy as np
import pytest
from image_server import Server, image_server, png

from generator.adapters.openai import OpenAIGenerator
from generator.adapters.pictures import decode_picture
from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.interface import GeneratedImage, Prompt, Refused, Request

NURSE = Request(Prompt("nurse", "a portrait of a nurse"), 3, 2**40 + 5)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the client makes, without making them."""
    made: list[float] = []
    monkeypatch.setattr("generator.adapters.http.time.sleep", made.append)
    return made


def _generator(server: Server, store: Path, *options: str, run_id: str = "run-1") -> OpenAIGenerator:
    return OpenAIGenerator(server.url, options, store=store, run_id=run_id)


def _one(generator: OpenAIGenerator) -> GeneratedImage | Refused:
    return next(generator.generate([NURSE]))


def test_a_good_answer_is_the_picture_and_its_bytes_are_kept_as_they_came(tmp_path: Path) -> None:
    with image_server() as server:
        generator = OpenAIGenerator(
            server.url,
            ["model=m-1", "version=2026-05", "size=640x480", "steps=20", 'extra={"quality": "low"}'],
            store=tmp_path,
            run_id="r",
            guidance=3.5,
            negative="hats",
        )
        image = _one(generator)
    assert isinstance(image, GeneratedImage)
    fields, headers = server.asked[0]
    assert fields == {
        "n": 1,
        "prompt": "a portrait of a nurse",
        "model": "m-1",
        "size": "640x480",
        "num_inference_steps": 20,
        "guidance_scale": 3.5,
        "negative_prompt": "hats",
        "response_format": "b64_json",
        "quality": "low",
        "seed": 5,
    }
    assert "Authorization" not in headers
    assert image.original is not None
    assert image.original.read_bytes() == png(5)
    assert np.array_equal(image.pixels, decode_picture(png(5), where="x"))
    assert (image.generator, image.version, image.weights_digest, image.seeded) == (
        "m-1",
        "2026-05",
        "",
        True,
    )
    kept = json.loads(image.original.with_suffix(".json").read_text())
    assert kept["data"][0]["revised_prompt"] == "as revised"
    assert "b64_json" not in kept["data"][0]


def test_429_500_half_a_body_and_nothing_are_asked_again_and_the_picture_comes(
    tmp_path: Path, pauses: list[float]
) -> None:
    busy = (429, {"Retry_After": "7"}, {"error": "slow down"})
    dated = (503, {"Retry_After": formatdate(time() + 30, usegmt=True)}, {})
    with image_server(busy, (500, {}, {}), "half", "empty", dated) as server:
        image = _one(_generator(server, tmp_path))
    assert isinstance(image, GeneratedImage)
    assert len(server.asked) == 6
    assert pauses[0] == 7
    assert 0.5 <= pauses[1] <= 2
    assert pauses[1] < pauses[2] * 4
    assert 25 <= pauses[4] <= 30
    tokens = {headers["Idempotency-Key"] for _, headers in server.asked}
    assert len(tokens) == 1


def test_pauses_double(tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generator.adapters.http.random.uniform", lambda _low, high: high)
    with image_server(*[(500, {}, {})] * 8) as server:
        _one(_generator(server, tmp_path, "attempts=9"))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_after_the_last_attempt_the_message_says_what_to_do(tmp_path: Path, pauses: list[float]) -> None:
    failed = pytest.raises(
        CannotCheckError, match=r"answered 500 .*boiler out.* after 3 attempts.*run the same"
    )
    with image_server(*[(500, {}, {"error": "boiler out"})] * 3) as server, failed:
        _one(_generator(server, tmp_path, "attempts=3"))
    assert len(pauses) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_pause_of_hours_is_for_the_user_to_decide(tmp_path: Path, pauses: list[float]) -> None:
    failed = pytest.raises(CannotCheckError, match="asks to wait 7200 s")
    with image_server((429, {"Retry_After": "7200"}, {})) as server, failed:
        _one(_generator(server, tmp_path))
    assert pauses == []


def test_a_silent_server_times_out_and_is_asked_again(tmp_path: Path, pauses: list[float]) -> None:
    with image_server("silent") as server:
        image = _one(_generator(server, tmp_path, "timeout=0.3"))
    assert isinstance(image, GeneratedImage)
    assert len(pauses) == 1


def test_what_was_received_is_not_asked_for_again(tmp_path: Path) -> None:
    with image_server() as server:
        first = _one(_generator(server, tmp_path))
        second = _one(_generator(server, tmp_path, run_id="run-1"))
    assert isinstance(first, GeneratedImage)
    assert isinstance(second, GeneratedImage)
    assert server.made == 1
    assert np.array_equal(first.pixels, second.pixels)


def test_a_response_that_was_kept_before_a_crash_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with image_server() as server:
        with monkeypatch.context() as crash:
            crash.setattr(OpenAIGenerator, "_unpack", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                _one(_generator(server, tmp_path))
        image = _one(_generator(server, tmp_path))
    assert server.made == 1
    assert isinstance(image, GeneratedImage)
    assert image.original is not None
    assert image.original.read_bytes() == png(5)


def test_another_prompt_seed_or_run_is_another_request(tmp_path: Path) -> None:
    other = Request(Prompt("nurse", "a drawing of a nurse"), 3, NURSE.seed)
    with image_server() as server:
        list(_generator(server, tmp_path).generate([NURSE, other]))
        (tmp_path / "second").mkdir()
        _one(_generator(server, tmp_path / "second", run_id="run-2"))
    assert server.made == 3
    assert len({headers["Idempotency-Key"] for _, headers in server.asked}) == 3


def test_a_declined_prompt_is_one_refusal_and_the_rest_goes_on(tmp_path: Path) -> None:
    later = Request(NURSE.prompt, 4, 9)
    with image_server("policy", "broken", "good") as server:
        answers = list(_generator(server, tmp_path).generate([NURSE, later, Request(NURSE.prompt, 5, 10)]))
    declined, broken, good = answers
    assert isinstance(declined, Refused)
    assert "not this one" in declined.reason
    assert isinstance(broken, Refused)
    assert "no picture" in broken.reason
    assert isinstance(good, GeneratedImage)


def test_a_field_the_server_does_not_know_stops_with_its_words(tmp_path: Path) -> None:
    error = (400, {}, {"error": {"code": "unknown_parameter", "message": "Unknown parameter: 'seed'."}})
    failed = pytest.raises(InputError, match=r"Unknown parameter: 'seed'.*--option NAME=VALUE")
    with image_server(error) as server, failed:
        _one(_generator(server, tmp_path))
    assert len(server.asked) == 1
    with image_server() as server:
        image = _one(_generator(server, tmp_path, "seed=no", "format="))
    assert isinstance(image, GeneratedImage)
    assert not image.seeded
    assert not {"seed", "response_format"} & set(server.asked[0][0])


def test_a_picture_is_fetched_from_the_same_host_only(tmp_path: Path) -> None:
    with image_server("url") as server:
        image = _one(_generator(server, tmp_path))
        assert server.fetched == ["/made/picture.png"]
    assert isinstance(image, GeneratedImage)
    assert image.original is not None
    assert image.original.read_bytes() == png(7)
    (tmp_path / "other").mkdir()
    failed = pytest.raises(InputError, match=r"203\.0\.113\.7, another host .* no connection was opened")
    with image_server("elsewhere") as server, failed:
        _one(_generator(server, tmp_path / "other"))


def test_a_picture_that_comes_by_halves_is_fetched_again_and_not_made_again(
    tmp_path: Path, pauses: list[float]
) -> None:
    with image_server("url") as server:
        server.pages = ["half", 500, 429]
        image = _one(_generator(server, tmp_path))
    assert isinstance(image, GeneratedImage)
    assert image.original is not None
    assert image.original.read_bytes() == png(7)
    assert (len(server.fetched), server.made, len(pauses)) == (4, 1, 3)


def test_a_picture_that_cannot_be_fetched_now_is_fetched_later_and_not_paid_again(
    tmp_path: Path, pauses: list[float]
) -> None:
    with image_server("url") as server:
        server.pages = [500, 500]
        with pytest.raises(CannotCheckError, match="run the same command again"):
            _one(_generator(server, tmp_path, "attempts=2"))
        image = _one(_generator(server, tmp_path, "attempts=2"))
    assert isinstance(image, GeneratedImage)
    assert server.made == 1


def test_a_full_disk_stops_before_anything_more_is_bought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    later = Request(NURSE.prompt, 4, 9)
    with image_server() as server:
        monkeypatch.setattr("generator.adapters.openai.write_atomic", full)
        with pytest.raises(DiskFullError, match="free space and run again"):
            list(_generator(server, tmp_path).generate([NURSE, later]))
        assert server.made == 1
        monkeypatch.undo()
        assert len(list(_generator(server, tmp_path).generate([NURSE, later]))) == 2
    tokens = [headers["Idempotency-Key"] for _, headers in server.asked]
    assert tokens[0] == tokens[1]  # a server that knows the header charges once


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with image_server() as target, image_server((302, {"Location": target.url}, {})) as server:
        with pytest.raises(InputError, match="answered 302"):
            _one(_generator(server, tmp_path))
        assert target.asked == []
        assert target.fetched == []


def test_the_key_is_sent_and_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pauses: list[float]
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    echo = {"error": {"message": "quota of sk-very-secret used up"}}
    with image_server((429, {}, echo), "good", (401, {}, echo)) as server:
        generator = _generator(server, tmp_path, "key_env=MY_KEY")
        assert isinstance(_one(generator), GeneratedImage)
        with pytest.raises(InputError) as caught:
            list(generator.generate([Request(NURSE.prompt, 9, 1)]))
    assert server.asked[0][1]["Authorization"] == "Bearer sk-very-secret"
    assert "MY_KEY" in str(caught.value)
    written = "".join(path.read_text("latin-1") for path in tmp_path.iterdir())
    assert "sk-very-secret" not in str(caught.value) + capsys.readouterr().err + written


def test_addresses_and_options_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(url: str, *options: str) -> OpenAIGenerator:
        return OpenAIGenerator(url, options, store=tmp_path, run_id="r")

    for url, message in (
        ("ftp://x", "expected an address"),
        ("https://me:pw@x", "name or password in the address"),
    ):
        with pytest.raises(InputError, match=message):
            build(url)
    with pytest.raises(InputError, match=r"unknown option 'colour'; it takes model, version, size"):
        build("https://example.org", "colour=red")
    for option, message in (
        ("size=big", "expected WIDTHxHEIGHT"),
        ("extra=[1]", "JSON object"),
        ("attempts=0", "at l"),
    ):
        with pytest.raises(InputError, match=message):
            build("https://example.org", option)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(InputError, match="without encryption; use https"):
        build("http://example.org/v1")
