"""The overall word of an asset: one table, read from top to bottom, the first row that fits gives the word.

A row names, for some checks, the values that fit; a check's value is the short symbol of its outcome (the two
`checks_*` modules list them). A row without a condition on a check does not look at it. The status of the asset is
not in the table: it is the worst status of its checks, where skipped ones do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        word: the overall word.
        meaning: what it says, as a sentence for somebody who never heard of C2PA.
        when: check name -> values that fit; all conditions must hold.
    """

    word: str
    meaning: str
    when: Mapping[str, frozenset[str]]


def _row(word: str, meaning: str, /, *conditions: str) -> Row:
    """Conditions are written "check = value | value"."""
    when = {}
    for condition in conditions:
        name, _, values = condition.partition("=")
        when[name.strip()] = frozenset(value.strip() for value in values.split("|"))
    return Row(word, meaning, when)


_INTACT = ("c2pa.integrity = intact", "c2pa.signature = valid")
_NO_MANIFEST = "c2pa.integrity = absent | unsupported"

VERDICTS: tuple[Row, ...] = (
    # What could not be judged, then what is broken: these outrank everything that looks good beside them.
    _row(
        "could not check",
        "The file, or its Content Credentials, could not be read; nothing is concluded.",
        "c2pa.integrity = unreadable | prerelease",
    ),
    _row(
        "could not check",
        "The picture could not be decoded and carries no Content Credentials; nothing is concluded.",
        "watermark.payload = undecodable",
    ),
    _row(
        "tampered",
        "The file was changed after it was signed.",
        "c2pa.integrity = altered",
    ),
    _row(
        "tampered",
        "The signature does not belong to these Content Credentials: they were changed, or signed by somebody else.",
        "c2pa.signature = mismatch",
    ),
    _row(
        "manifest damaged",
        "There are Content Credentials, but they are damaged and prove nothing.",
        "c2pa.integrity = damaged",
    ),
    _row(
        "marks disagree",
        "The marks of this file name different assets; at least one of them was copied from another file.",
        "agreement.asset_id = disagree",
    ),
    _row(
        "marks disagree",
        "The watermark was given to another picture; it was copied onto this one.",
        "watermark.content = mismatch",
    ),
    _row(
        "marks disagree",
        "The ledger knows this identifier with other Content Credentials.",
        "ledger.entry = other-manifest",
    ),
    _row(
        "marks disagree",
        "The labels contradict the Content Credentials.",
        "labels.iptc = contradicts",
    ),
    _row("marks disagree", "The labels contradict each other.", "labels.iptc = conflicting"),
    _row("marks disagree", "The labels contradict each other.", "labels.aigc = conflicting"),
    _row(
        "laundered ingredient",
        "The file itself is as signed, but it was made from something that was altered or not validly signed.",
        "c2pa.chain = laundered",
    ),
    _row(
        "ingredient cycle",
        "The history of this file leads in a circle and cannot be true.",
        "c2pa.chain = cyclic",
    ),
    _row("signer revoked", "The signer's certificate was revoked.", "c2pa.trust = revoked"),
    _row(
        "signer not acceptable",
        "The signer's certificate is not one that may sign Content Credentials.",
        "c2pa.trust = unacceptable",
    ),
    _row(
        "time stamp does not hold",
        "The time stamp contradicts the signature.",
        "c2pa.time = contradicted",
    ),
    _row(
        "expired, no time stamp",
        "The file is as signed, but the certificate has expired and no time stamp shows that it was signed before.",
        "c2pa.time = expired",
    ),
    _row(
        "expired, time stamp not trusted",
        "The file is as signed and the certificate has expired; the time stamp is of an authority on no trust list.",
        "c2pa.time = expired-stamp-unproven",
    ),
    # What holds.
    _row(
        "trusted",
        "The file is as signed, by a signer on the trust list.",
        *_INTACT,
        "c2pa.trust = trusted",
    ),
    _row(
        "intact, development identity",
        "The file is as signed, by a development identity that is on no trust list.",
        *_INTACT,
        "c2pa.trust = development",
    ),
    _row(
        "intact, signer not on a trust list",
        "The file is as signed, but nobody on the trust list vouches for the signer.",
        *_INTACT,
        "c2pa.trust = untrusted",
    ),
    _row(
        "intact, signer not checked",
        "The file is as signed, but the signer's certificate could not be read, so whether it may sign is unknown.",
        *_INTACT,
        "c2pa.trust = unread",
    ),
    _row(
        "intact, no trust list given",
        "The file is as signed; without a trust list nothing is known about the signer.",
        *_INTACT,
        "c2pa.trust = no-list",
    ),
    # Nothing signed in the file.
    _row(
        "recovered, bytes differ",
        "The file lost its Content Credentials; they were found again, and the picture shows what was published.",
        "c2pa.integrity = absent | unsupported | remote",
        "recovered = recovered",
    ),
    _row(
        "recovered, manifest kept elsewhere",
        "The Content Credentials of exactly these bytes are kept outside the file.",
        "c2pa.integrity = absent | unsupported | remote",
        "recovered = bytes-equal",
    ),
    _row(
        "watermark only",
        "There are no Content Credentials in the file, but it carries our watermark.",
        "c2pa.integrity = absent | unsupported | remote",
        "watermark.payload = found",
    ),
    _row(
        "manifest elsewhere",
        "The file names an address for its Content Credentials; it was not looked up, since no network is used.",
        "c2pa.integrity = remote",
    ),
    _row(
        "labels only (unsigned)",
        "The file says of itself that it is AI-generated; anybody can write or remove such a label.",
        _NO_MANIFEST,
        "labels.aigc = found",
    ),
    _row(
        "labels only (unsigned)",
        "The file says of itself how it was made; anybody can write or remove such a label.",
        _NO_MANIFEST,
        "labels.iptc = found",
    ),
    _row(
        "nothing found",
        "No mark was found; that says nothing about where the file comes from.",
        _NO_MANIFEST,
    ),
    _row(
        "not proven",
        "There are Content Credentials, but they do not cover what they would have to cover.",
    ),
)


def format_table() -> str:
    """The whole table as Markdown, one row a line, in the order in which it is read."""
    lines = ["| # | word | what it says | when |", "|---|---|---|---|"]
    for number, row in enumerate(VERDICTS, start=1):
        when = "; ".join(f"`{name}` is {' or '.join(sorted(values))}" for name, values in row.when.items())
        lines.append(f"| {number} | {row.word} | {row.meaning} | {when or 'anything else'} |")
    return "\n".join(lines) + "\n"


WORDS: tuple[str, ...] = tuple(dict.fromkeys(row.word for row in VERDICTS))


def choose_row(values: Mapping[str, str]) -> Row:
    """The first row of the table that fits.

    Args:
        values: check name -> value.
    """
    return next(
        row for row in VERDICTS if all(values.get(name) in fitting for name, fitting in row.when.items())
    )
