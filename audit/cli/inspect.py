"""`assay inspect`: everything that a file says about itself, unjudged, with the overall word at the top."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from audit.cli.verify import add_mark_options, ledger_location, sources_of
from audit.evidence import exit_code, worst
from generator.errors import InputError

if TYPE_CHECKING:
    from audit.provenance.layers import Layers

_MAX_DEPTH = 16  # generations of ingredients shown
_MAX_SHOWN = 50  # entries of one list shown


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "inspect",
        help="show the manifest tree, labels, watermark and ledger entry of files",
        description="Show everything that the marks of files say. `assay verify` says what of it holds.",
    )
    add_mark_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what every file says."""
    from audit.batch import unreadable
    from audit.provenance.gather import build_setup, examine
    from audit.provenance.text import clean_text
    from audit.provenance.verdict import judge

    if not args.paths:
        raise InputError("nothing to inspect; name files or folders (assay inspect --help)")
    setup = build_setup(
        trust=args.trust, ledger=ledger_location(args.ledger), search=args.watermark, at=args.at
    )
    documents = []
    statuses = []
    with sources_of(args) as sources:
        for source in sources:
            if source.problem:
                evidence, said = unreadable(source.name, source.problem), {}
            else:
                layers = examine(source.path, setup)
                evidence, said = judge(layers), describe(layers)
            statuses.append(evidence.status)
            verdict = evidence.find("verdict")
            name = clean_text(source.name, limit=4096)
            document = {"path": name, "verdict": str(verdict.value), "status": str(evidence.status)}
            full = {**document, **said}
            if source.is_temporary:
                source.path.unlink(missing_ok=True)
            if args.form == "json":
                documents.append(full)
            elif args.form == "jsonl":
                sys.stdout.write(json.dumps(full) + "\n")
            else:
                title = f"{name}: {verdict.value} [{evidence.status}]"
                sys.stdout.write("\n".join([title, f"  {verdict.reason}", *_lines(said, 1), "\n"]))
    if args.form == "json":
        sys.stdout.write(json.dumps({"schema_version": 1, "assets": documents}, indent=2) + "\n")
    return exit_code(worst(statuses))


def _anchor(trust_list: str) -> str:
    """Whose anchor the engine's state rests on; its word "trusted" must not be taken for a trust list's."""
    from audit.provenance.trust import DEVELOPMENT_LIST

    if trust_list == DEVELOPMENT_LIST:
        return "this machine's own development root, which nobody else has a reason to trust"
    return trust_list


def describe(layers: Layers) -> dict[str, Any]:
    """Every layer as JSON, each text safe to print."""
    from audit.provenance.checks_marks import asset_ids
    from audit.provenance.codes import names

    report, mark, entry = layers.manifests, layers.watermark, layers.ledger.entry
    content = {
        "content credentials": {
            "state": str(report.state),
            "state rests on": _anchor(report.trust_list),
            "reason": report.reason,
            "address": report.remote_url,
            "validation": {
                "success": names(report.codes.success),
                "informational": names(report.codes.informational),
                "failure": names(report.codes.failure),
            },
            "manifest": _manifest(layers, report.active, shown=set(), depth=0),
        },
        "watermark": {
            "state": str(mark.state),
            "reason": mark.reason,
            "payload": mark.payload,
            "log10_p": mark.log10_p,
            "scheme": mark.scheme,
            "key": mark.key_id,
            "search": mark.search,
            "other techniques": [str(one) for one in mark.others.asked],
            "public marks": list(mark.others.public),
        },
        "labels": {
            "state": str(layers.labels.status),
            "digital source type": layers.labels.digital_source_type,
            "system": layers.labels.system,
            "version": layers.labels.system_version,
            "prompt": layers.labels.prompt,
            "created": layers.labels.created,
            "AIGC": dict(layers.labels.aigc),
            "conflicts": list(layers.labels.conflicts),
        },
        "ledger": {
            "state": str(layers.ledger.state),
            "matched by": layers.ledger.matched_by,
            "entry": None
            if entry is None
            else {
                "asset id": entry.asset_id,
                "manifest": entry.manifest_id,
                "sha256": entry.sha256,
                "format": entry.format,
                "generator": entry.generator,
                "weights": entry.weights_digest,
                "created": entry.created,
            },
        },
        "identifiers": dict(asset_ids(layers)),
    }
    cleaned: dict[str, Any] = _clean(content)
    return cleaned


def _manifest(layers: Layers, label: str, *, shown: set[str], depth: int) -> Any:  # noqa: ANN401 - a JSON tree
    """One manifest and the ingredients below it; each manifest is shown once, so that cycles end."""
    manifest = layers.manifests.manifests.get(label)
    if not isinstance(manifest, Mapping):
        return None
    if label in shown:
        return f"{label}: shown above"
    if depth >= _MAX_DEPTH:
        return "deeper generations are not shown"
    shown.add(label)
    ingredients = [
        {
            "title": entry.get("title"),
            "relationship": entry.get("relationship"),
            "recorded failures": _recorded_failures(entry),
            "manifest": _manifest(
                layers, str(entry.get("active_manifest") or ""), shown=shown, depth=depth + 1
            ),
        }
        for entry in _objects(manifest.get("ingredients"))
    ]
    return {
        "label": label,
        "title": manifest.get("title"),
        "generator": manifest.get("claim_generator_info") or manifest.get("claim_generator"),
        "signature": manifest.get("signature_info"),
        "assertions": {
            str(entry.get("label")): entry.get("data") for entry in _objects(manifest.get("assertions"))
        },
        "ingredients": ingredients,
    }


def _recorded_failures(ingredient: Mapping[str, Any]) -> list[str]:
    results = ingredient.get("validation_results")
    active = results.get("activeManifest") if isinstance(results, Mapping) else None
    entries = _objects(active.get("failure")) if isinstance(active, Mapping) else []
    return [str(entry.get("code")) for entry in [*entries, *_objects(ingredient.get("validation_status"))]]


def _objects(value: object) -> list[Mapping[str, Any]]:
    return (
        [entry for entry in value[:_MAX_SHOWN] if isinstance(entry, Mapping)]
        if isinstance(value, list)
        else []
    )


def _clean(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - a JSON tree
    """The same tree with every text safe to print, long lists and deep nesting cut."""
    from audit.provenance.text import clean_text

    if depth > 4 * _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        items = list(value.items())[:_MAX_SHOWN]
        return {clean_text(key): _clean(entry, depth + 1) for key, entry in items}
    if isinstance(value, list):
        return [_clean(entry, depth + 1) for entry in value[:_MAX_SHOWN]]
    return clean_text(value, limit=1000) if isinstance(value, str) else value


def _lines(value: Any, indent: int) -> Iterator[str]:  # noqa: ANN401 - a JSON tree
    """A JSON tree as indented lines; empty entries are left out."""
    pad = "  " * indent
    for key, entry in value.items() if isinstance(value, Mapping) else enumerate(value, start=1):
        if entry in (None, "", [], {}):
            continue
        if isinstance(entry, Mapping) or (
            isinstance(entry, list) and any(isinstance(part, dict) for part in entry)
        ):
            yield f"{pad}{key}"
            yield from _lines(entry, indent + 1)
        elif isinstance(entry, list):
            yield f"{pad}{key}: {', '.join(map(str, entry))}"
        else:
            yield f"{pad}{key}: {entry}"
