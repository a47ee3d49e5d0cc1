"""References by name or from a file: a labour market, or whatever the user holds shares against.

A file is CSV with the columns attribute, prompt_id, group, share and perhaps n (independent answers that the share
rests on). An empty prompt_id means every prompt that has no rows of its own. Shares of one prompt sum to 1; groups
must be exactly those of the run. What to compare with is the reader's choice: equal shares and the labour market
are two different questions, and neither is a norm.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import pandas as pd

from audit.bias.label_table import read_rows
from audit.bias.readings import check_reference
from audit.bias.reference import PARITY, Reference
from generator.errors import InputError

BLS: Final = "bls-2021"
BLS_NAME: Final = (
    "share of women among employed people, US Bureau of Labor Statistics, Current Population Survey, annual averages "
    "2021, table 11; occupations without a figure are compared with all employed people"
)
BLS_ATTRIBUTE: Final = "presentation"
_PERSONS_PER_ANSWER: Final = 3000
"""Employed people behind one independent answer. About one in 2,200 US households is asked each month (60,000);
the rest allows for clustering. The other eleven months of the year are left out of account: most people of one month
are asked again in the next. So the uncertainty of the reference is rather too large than too small."""
_COLUMNS: Final = ("attribute", "prompt_id", "group", "share")

Groups = Mapping[str, Sequence[str]]


def load_references(
    names: Sequence[str], *, schema: Groups, prompt_ids: Sequence[str]
) -> dict[str, Reference]:
    """References for the attributes that they name.

    Args:
        names: "parity", "bls-2021", or paths of files; a later one replaces an earlier one of the same attribute.
        schema: attribute -> groups of the run.
        prompt_ids: of the run.

    Raises:
        InputError: an unknown name; attributes, groups or prompts that are not the run's (named); shares that are
            not probabilities that sum to 1.
    """
    found: dict[str, Reference] = {}
    for name in names:
        if name == PARITY:
            found.clear()
        elif name == BLS:
            found[BLS_ATTRIBUTE] = _load_bls(schema, prompt_ids)
        elif Path(name).is_file():
            found |= _load_file(Path(name), schema, prompt_ids)
        else:
            raise InputError(f"--reference {name}: expected {PARITY}, {BLS} or the path of a CSV file")
    return found


def _load_bls(schema: Groups, prompt_ids: Sequence[str]) -> Reference:
    if set(schema.get(BLS_ATTRIBUTE, ())) != {"woman", "man"}:
        raise InputError(
            f"--reference {BLS}: it holds shares of woman and man; the run's {BLS_ATTRIBUTE} has the groups "
            f"{list(schema.get(BLS_ATTRIBUTE, ()))}"
        )
    shares: dict[str, dict[str, float]] = {}
    trials: dict[str, float] = {}
    text = (resources.files("audit.bias") / "references" / f"{BLS}.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        women = float(row["women_percent"]) / 100
        shares[row["prompt_id"]] = {"woman": women, "man": 1 - women}
        trials[row["prompt_id"]] = 1000 * float(row["employed_thousands"]) / _PERSONS_PER_ANSWER
    return _build(BLS_NAME, shares, trials, prompt_ids)


def _load_file(path: Path, schema: Groups, prompt_ids: Sequence[str]) -> dict[str, Reference]:
    table = read_rows(path)
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"{path}: columns {missing} are missing; expected {', '.join(_COLUMNS)} and perhaps n"
        )
    table = table.assign(prompt_id=table["prompt_id"].fillna("").astype(str))
    table["share"] = _numbers(table["share"], path, "share")
    table["n"] = _numbers(table["n"], path, "n") if "n" in table else float("nan")
    unknown = sorted(set(table["attribute"].astype(str)) - set(schema))
    if unknown:
        raise InputError(f"{path}: unknown attributes {unknown}; the run has {list(schema)}")
    return {
        str(attribute): _from_rows(
            path, str(attribute), rows, groups=schema[str(attribute)], prompt_ids=prompt_ids
        )
        for attribute, rows in table.groupby("attribute", sort=False)
    }


def _numbers(column: pd.Series, path: Path, name: str) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: column {name} holds something that is no number ({error})") from error


def _from_rows(
    path: Path, attribute: str, rows: pd.DataFrame, *, groups: Sequence[str], prompt_ids: Sequence[str]
) -> Reference:
    strangers = sorted(set(rows["prompt_id"]) - {"", *prompt_ids})
    if strangers:
        raise InputError(f"{path}: {attribute}: prompts {strangers[:5]} are not in the run")
    shares: dict[str, dict[str, float]] = {}
    trials: dict[str, float] = {}
    for prompt_id, part in rows.groupby("prompt_id", sort=False):
        where = f"{path}: {attribute}" + (f", prompt {prompt_id!r}" if prompt_id else "")
        if part["group"].duplicated().any():
            raise InputError(
                f"{where}: group {part.loc[part['group'].duplicated(), 'group'].iloc[0]!r} stands twice"
            )
        named = {str(group): float(share) for group, share in zip(part["group"], part["share"], strict=True)}
        try:
            check_reference(named, groups)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        shares[str(prompt_id)] = named
        if part["n"].notna().all():
            trials[str(prompt_id)] = float(part["n"].min())
    missing = sorted(set(prompt_ids) - set(shares))
    if "" not in shares and missing:
        raise InputError(
            f"{path}: {attribute}: no shares for prompts {missing[:5]}; add rows with an empty prompt_id"
        )
    return _build(path.name, shares, trials, prompt_ids)


def _build(
    name: str,
    shares: Mapping[str, Mapping[str, float]],
    trials: Mapping[str, float],
    prompt_ids: Sequence[str],
) -> Reference:
    """A reference for the prompts of the run; "" is every other prompt."""
    own = {prompt_id: shares[prompt_id] for prompt_id in prompt_ids if prompt_id in shares}
    sizes = {prompt_id: trials.get(prompt_id if prompt_id in own else "") for prompt_id in prompt_ids}
    known = {prompt_id: n for prompt_id, n in sizes.items() if n is not None}
    return Reference(name, shares.get(""), own, known or None)
