"""The report's own words: statuses, rooms, methods, limits and glossary, in plain language."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from audit.evidence import Status

ROOMS: Final = ("provenance", "bias", "detector", "similarity")
"""Rooms in reading order; each has a table and an evidence file of that name."""


@dataclass(frozen=True, slots=True)
class StatusWords:
    """How a status is shown: never by colour alone.

    Attributes:
        symbol: one character.
        label: one or two words.
        meaning: a sentence.
    """

    symbol: str
    label: str
    meaning: str


STATUS_WORDS: Final = MappingProxyType(
    {
        Status.PASS: StatusWords("✓", "Pass", "It was checked, and it is as it should be."),
        Status.FAIL: StatusWords("✕", "Finding", "It was checked, and something is not as it should be."),
        Status.INCONCLUSIVE: StatusWords(
            "?", "Inconclusive", "It was checked, and the answer is open. That is not a pass."
        ),
        Status.SKIPPED: StatusWords("–", "Skipped", "It does not apply here, so it was not checked."),
        Status.ERROR: StatusWords("!", "Could not check", "The check itself failed; it says nothing."),
    }
)


@dataclass(frozen=True, slots=True)
class RoomWords:
    """How a room is introduced.

    Attributes:
        title: heading.
        question: what it asks.
        method: how it answers, a few sentences.
        limits: what its answer does not mean, one sentence each.
    """

    title: str
    question: str
    method: str
    limits: tuple[str, ...]


ROOM_WORDS: Final = MappingProxyType(
    {
        "provenance": RoomWords(
            "Provenance",
            "Do the files say where they come from, and does what they say hold?",
            "Each file is asked apart: is the content as it was signed (integrity), does the signature hold, does "
            "somebody on a trust list vouch for the signer (trust), does the time of signing hold, does everything "
            "it was made from hold (chain), do the pixels carry our watermark, which labels does it carry, and does "
            "our ledger know it. No network is used. One table of rules turns the answers into one word a file.",
            (
                "A file without marks proves nothing: many services remove marks. It is inconclusive, never a "
                "finding.",
                "A signature that holds shows who signed and that nothing was changed since; not that the picture "
                "shows something true.",
                "Labels can be written or removed by anybody unless a signature covers them.",
            ),
        ),
        "bias": RoomWords(
            "Bias",
            "Whom do the pictures show when the prompt does not say whom to show?",
            "A classifier says of each picture which group it perceives, for each attribute, with probabilities. "
            "Where it is not sure it says “undetermined”, and that answer is counted. Shares are compared "
            "within each prompt and over prompts; prompts, not pictures, are the unit of the overall figures.",
            (
                "Every value is what a classifier perceived in a picture. It is no statement about any person's "
                "gender, age or origin.",
                "The classifier errs. Shares as read and shares corrected for its measured errors are told apart.",
                "What a fair share would be is a choice of the reader. Equal shares are a yardstick here, not a "
                "norm.",
            ),
        ),
        "detector": RoomWords(
            "Detector",
            "Can a detector that looks at pixels alone tell that these pictures are generated?",
            "A small vision transformer gives each picture a score; it is calibrated to a probability of being "
            "synthetic. Where the score fits both classes, or neither, or the picture is unlike anything it was "
            "measured on, the detector gives no answer.",
            (
                "The detector knows the drawings of the embedded world and its generator. About other pictures it "
                "says little or nothing.",
                "Its answer about one picture is no proof. Error rates hold for pictures like those it was measured "
                "on.",
            ),
        ),
        "similarity": RoomWords(
            "Tracing",
            "Do pictures resemble single training pictures more than chance explains?",
            "Each picture is compared with every picture of the reference set. The p-value says how often a picture "
            "that is not related to the set comes as close to some reference. Edited copies planted in the set show "
            "how well such copies are found.",
            (
                "A match is a lead for a person to look at. It is no proof of copying or of memorisation.",
                "No match does not show that nothing was memorised; see how many planted copies were found.",
            ),
        ),
    }
)

OVERALL_WORDS: Final = MappingProxyType(
    {
        Status.PASS: "Every check that was made passed.",
        Status.FAIL: "At least one check found something that is not as it should be.",
        Status.INCONCLUSIVE: "Nothing is known to be wrong, but some questions stay open. That is not a pass.",
        Status.SKIPPED: "No check applied to this run, so nothing was found out.",
        Status.ERROR: "Something could not be checked, so this run cannot be called good or bad.",
    }
)

DEVELOPMENT: Final = (
    "These images were signed with a development identity. Anybody can make one: it shows that a file is unchanged "
    "since it was signed, and not who made it. Nobody outside this machine has a reason to trust it."
)

GENERAL_LIMITS: Final = (
    "This report repeats what the audit measured in this run. It is no legal opinion and no certificate.",
    "Intervals show what chance alone leaves open. They do not cover mistakes of the classifiers unless it is said.",
)

GLOSSARY: Final = (
    ("abstain", "The detector gives no answer because it has no good reason for either."),
    ("attribute, group", "What is perceived (for example age) and the values it can take (young, old …)."),
    ("candidate", "The reference picture that is most similar to a picture of this run."),
    ("confidence interval", "A range that, in 95 of 100 audits like this one, would hold the true value."),
    (
        "Content Credentials, C2PA",
        "A signed statement inside a file about how it was made; an open industry standard.",
    ),
    ("development identity", "A signing certificate that this machine made for itself; on no trust list."),
    ("ledger", "This machine's own record of the images that it published."),
    ("manifest", "One set of Content Credentials."),
    ("p-value", "How often chance alone would give a result at least as striking."),
    ("perceived", "Said by a classifier of a picture; never a fact about a person."),
    ("prompt", "The text that an image was asked for with."),
    ("threshold", "The number that a measured value is compared with; a choice, not a law of nature."),
    ("trust list", "A list of authorities whose word about a signer counts."),
    ("watermark", "A hidden identifier in the pixels that survives many edits."),
)

LAYERS: Final = MappingProxyType(
    {
        "integrity": "Content as signed",
        "signature": "Signature holds",
        "trust": "Signer is vouched for",
        "time": "Time of signing",
        "chain": "What it was made from",
        "watermark": "Watermark in the pixels",
        "labels": "Readable labels",
        "ledger": "Known to the ledger",
    }
)
"""Columns of the provenance table that hold a status -> what they ask."""
