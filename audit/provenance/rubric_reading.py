"""Reading a manifest in crJSON: what is not of the expected shape is empty, so that a statement never raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.provenance import rubric_names as names

Manifest = Mapping[str, Any]


def as_object(value: object) -> Manifest:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_objects(value: object) -> list[Manifest]:
    """The JSON objects of a list; none when it is no list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def assertions(manifest: Manifest) -> Manifest:
    """Label -> assertion."""
    return as_object(manifest.get("assertions"))


def assertion_values(manifest: Manifest) -> list[Manifest]:
    """The assertions that are JSON objects."""
    return [value for value in assertions(manifest).values() if isinstance(value, Mapping)]


def actions(manifest: Manifest) -> list[Manifest]:
    """The actions of all actions assertions, in order."""
    return [action for value in assertion_values(manifest) for action in as_objects(value.get("actions"))]


def named_actions(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """(name, action) of every action."""
    for action in actions(manifest):
        yield str(action.get("action") or ""), action


def action_parameters(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """(name, parameters) of every action that has parameters."""
    for name, action in named_actions(manifest):
        if isinstance(action.get("parameters"), Mapping):
            yield name, action["parameters"]


def ingredients(manifest: Manifest) -> list[Manifest]:
    """The ingredient assertions."""
    return [value for value in assertion_values(manifest) if value.get("relationship") is not None]


def claim(manifest: Manifest) -> Manifest:
    """The claim."""
    return as_object(manifest.get("claim.v2"))


def failure_codes(manifest: Manifest) -> list[str]:
    """Failure codes of the validation; `NO_RESULTS` alone when the manifest brings no results."""
    results = manifest.get("validationResults")
    if not isinstance(results, Mapping):
        return [names.NO_RESULTS]
    return [str(entry.get("code")) for entry in as_objects(results.get("failure"))]
