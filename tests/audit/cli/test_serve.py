"""`assay serve`: closed doors by default, tokens shown once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from audit.cli import serve
from audit.service.settings import find_client, load_clients
from generator.errors import InputError


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_parser(parser.add_subparsers())
    return parser.parse_args(["serve", *words])


def test_new_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tokens.json"
    assert serve.run(parse("--tokens", str(file), "--new-token", "press", "--scope", "fetch:manifests")) == 0
    token = capsys.readouterr().out.strip()
    client = find_client(load_clients(file), token)
    assert client is not None
    assert client.scopes == {"fetch:manifests"}


@pytest.mark.parametrize(
    "words",
    [
        ("--host", "0.0.0.0"), ("--host", "example.org"), ("--key", "x"), ("--tls-key", "x"), ("--new-token", "x"),
        ("--max-upload", "0"), ("--port", "70000"), ("--scope", "fetch:manifests"), ("--rate", "0"),
    ],
)  # fmt: skip
def test_open_doors_and_halves_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        serve.run(parse(*words))


def test_official_list_is_kept(shared_data: Path) -> None:
    official = shared_data / "c2pa" / "softbinding-algorithm-list.json"
    first = serve.build_settings(parse("--algorithms", str(official)))
    assert first.algorithms.is_listed("io.iscc.v0") is True
    assert serve.build_settings(parse()).algorithms == first.algorithms


def test_it_serves_what_the_options_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    seen: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: seen.update(options, app=app))
    assert serve.run(parse("--port", "9000", "--online", "--max-upload", "3", "--rate", "7")) == 0
    settings = seen["app"].state.service.settings
    assert (seen["host"], seen["port"], seen["access_log"], seen["proxy_headers"]) == (
        "127.0.0.1",
        9000,
        False,
        False,
    )
    assert (settings.online, settings.limits.upload, settings.limits.requests) == (True, 3 << 20, 7)
    assert "No tokens" in capsys.readouterr().err
