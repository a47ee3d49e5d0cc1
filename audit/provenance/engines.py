"""What other C2PA engines say of the same file: each that is installed is asked, and disagreement is reported.

Engines share mistakes with nobody: where two disagree, a reader should look. Ours is the first opinion, the engine
below it (c2pa-rs, by its own overall state) the second; encypher-c2pa is asked when it is installed, and so are the
engines of `node_engines`. What was refused for its size is given to none of them. No network.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from audit.evidence import JSON, Check, Status
from audit.provenance.bounds import costly_store
from audit.provenance.codes import Part
from audit.provenance.layers import Layers
from audit.provenance.read import Manifests, ManifestState
from audit.provenance.text import clean_text
from audit.provenance.trust import SIGNER_LIST, TrustLists
from generator.marking.identity import assay_home

NAME = "engines.agreement"
_ENCYPHER, _TYPESCRIPT = "encypher-c2pa", "@trustnxt/c2pa-ts"
_ENCYPHER_TRUSTS = frozenset(
    {"trusted", "valid_for_supplied_material"}
)  # the latter: under anchors that were given


class Content(StrEnum):
    """What an engine says of the signed content, in the words that all of them share."""

    INTACT = "intact"
    BROKEN = "broken"  # changed, or the signature does not hold, or the credentials are damaged
    ABSENT = "absent"  # nothing signed is in the file
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one engine says.

    Attributes:
        engine: name and version.
        content: see `Content`.
        is_trusted: whether it calls the signer trusted; None when it says nothing.
        said: its own words.
    """

    engine: str
    content: Content
    is_trusted: bool | None
    said: str


def check_engines(layers: Layers, path: Path, trust: TrustLists) -> Check:
    """Do all engines agree? Values: agree, disagree, alone.

    Args:
        layers: what our own reading found.
        path: of the file.
        trust: anchors by purpose; the same ones are given to every engine.
    """
    opinions = [_ours(layers), _engine_below(layers.manifests), *_others(path, trust)]
    table: list[JSON] = [
        {
            "engine": opinion.engine,
            "content": str(opinion.content),
            "trusted": opinion.is_trusted,
            "said": clean_text(opinion.said, limit=300),
        }
        for opinion in opinions
    ]
    details: dict[str, JSON] = {"opinions": table}
    shown = "; ".join(f"{o.engine}: {o.content}{_trust_word(o)}" for o in opinions)
    source = "audit.provenance.engines"
    if len({o.content for o in opinions}) > 1 or len({o.is_trusted for o in opinions} - {None}) > 1:
        reason = f"The engines disagree ({shown})."
        step = "Read the parts above: they say what was found. An engine's one word may mix several of them."
        return Check(
            NAME,
            Status.INCONCLUSIVE,
            reason,
            value="disagree",
            source=source,
            next_step=step,
            details=details,
        )
    if len(opinions) < 3:
        reason = f"No engine but c2pa-rs is installed ({shown})."
        folder = assay_home() / "node"
        step = f"Install another one: `pip install {_ENCYPHER}`, or `npm install {_TYPESCRIPT}` in {folder}."
        return Check(
            NAME, Status.SKIPPED, reason, value="alone", source=source, next_step=step, details=details
        )
    return Check(NAME, Status.PASS, f"All agree ({shown}).", value="agree", source=source, details=details)


def _trust_word(opinion: Opinion) -> str:
    return "" if opinion.is_trusted is None else (", trusted" if opinion.is_trusted else ", not trusted")


def _ours(layers: Layers) -> Opinion:
    report = layers.manifests
    content = _content(report)
    if report.is_present:
        content = Content.INTACT if layers.is_intact else Content.BROKEN
    trusted = None
    if content is Content.INTACT:
        vouched = report.trust_list == SIGNER_LIST and report.codes.has("signingCredential.trusted")
        trusted = (
            vouched and not report.codes.of(Part.TRUST) and not report.codes.has("signingCredential.expired")
        )
    return Opinion("assay", content, trusted, str(report.state))


def _content(report: Manifests) -> Content:
    match report.state:
        case ManifestState.TRUSTED | ManifestState.VALID:
            return Content.INTACT
        case ManifestState.INVALID | ManifestState.MALFORMED:
            return Content.BROKEN
        case ManifestState.UNREADABLE | ManifestState.PRERELEASE:
            return Content.UNREADABLE
    return Content.ABSENT


def _engine_below(report: Manifests) -> Opinion:
    """The overall state of c2pa-rs, as every program built on it shows it."""
    trusted = {ManifestState.TRUSTED: True, ManifestState.VALID: False}.get(report.state)
    return Opinion(
        f"c2pa-rs in c2pa-python {_version('c2pa-python')}", _content(report), trusted, str(report.state)
    )


@functools.cache
def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _others(path: Path, trust: TrustLists) -> list[Opinion]:
    from audit.provenance.node_engines import ask_node

    try:
        if costly_store(path):
            return []
    except OSError:
        pass  # the others say so themselves
    return [*_encypher(path, trust), *ask_node(path, trust)]


def _encypher(path: Path, trust: TrustLists) -> list[Opinion]:
    """The opinion of encypher-c2pa; none when it is not installed."""
    os.environ.setdefault("ENCYPHER_C2PA_TELEMETRY", "off")
    try:
        import encypher_c2pa
    except ImportError:
        return []
    engine = f"{_ENCYPHER} {_version(_ENCYPHER)}"
    anchors, times = "".join([*trust.signers, *trust.development]), "".join(trust.time_stamps)
    try:
        report = encypher_c2pa.verify(
            path,
            trust_pem=anchors or None,
            tsa_trust_pem=times or None,
            no_default_trust=True,
            telemetry=None,
            online=False,
        )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        return [Opinion(engine, Content.UNREADABLE, None, str(error))]
    return [_encypher_opinion(engine, report)]


def _encypher_opinion(engine: str, report: Mapping[str, Any]) -> Opinion:
    said = str(report.get("validation_state"))
    if not report.get("present"):
        return Opinion(engine, Content.ABSENT, None, said)
    if report.get("integrity") != "valid" or report.get("signature") == "invalid":
        return Opinion(engine, Content.BROKEN, None, said)
    trust = report.get("trust")
    status = trust.get("status") if isinstance(trust, Mapping) else None
    return Opinion(engine, Content.INTACT, status in _ENCYPHER_TRUSTS, f"{said}, trust {status}")
