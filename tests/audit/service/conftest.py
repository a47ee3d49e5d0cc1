"""A deployment of the tests' own, with two published portraits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
sys.path.insert(0, str(Path(__file__).parents[1] / "provenance"))

from recovery_making import publish_portrait  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from audit.provenance.gather import build_setup  # noqa: E402
from audit.service.app import build_app  # noqa: E402
from audit.service.settings import Settings  # noqa: E402
from generator.marking.identity import development_identity  # noqa: E402


@pytest.fixture
def published(assay_home: Path) -> list[Path]:
    return [publish_portrait(assay_home, number) for number in (1, 2)]


@pytest.fixture
def make_client(assay_home: Path) -> Callable[..., TestClient]:
    """A client of a new deployment; keyword arguments change its settings."""

    def make(**settings: Any) -> TestClient:
        chosen = {"setup": build_setup(), "identity": development_identity(), **settings}
        return TestClient(build_app(Settings(**chosen)), raise_server_exceptions=False)

    return make
