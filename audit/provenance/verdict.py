"""Judge one file: from what its layers say to separate checks, and from those to one word.

Pure: no file, no clock, no network.
"""

from __future__ import annotations

from collections.abc import Sequence

from audit.evidence import Check, Evidence
from audit.provenance import checks_credentials as credentials
from audit.provenance import checks_marks as marks
from audit.provenance.checks_unsigned import check_unsigned
from audit.provenance.layers import Layers
from audit.provenance.text import clean_text
from audit.provenance.words import choose_row

VERDICT = "verdict"


def judge(layers: Layers, *, rubric: str = "", further: Sequence[Check] = ()) -> Evidence:
    """Evidence about one file; its first check, `verdict`, holds the overall word as value.

    Args:
        layers: what each layer of the file says.
        rubric: name of an official asset rubric that the manifest is held against; "" for none. That is a demand on
            who writes manifests, and says nothing about authenticity; it changes the status, never the word.
        further: checks made elsewhere (recovery, other engines); they count, and the table of words may read them.
    """
    checks = [
        credentials.check_integrity(layers),
        credentials.check_signature(layers),
        credentials.check_trust(layers),
        credentials.check_time(layers),
        credentials.check_chain(layers),
        check_unsigned(layers),
        *credentials.check_identity(layers),
        marks.check_watermark(layers),
        *marks.check_sampling(layers),
        *marks.check_all_watermarks(layers),
        marks.check_aigc(layers),
        marks.check_iptc(layers),
        marks.check_ledger(layers),
        marks.check_agreement(layers),
        *further,
    ]
    row = choose_row({check.name: str(check.value) for check in checks})
    if rubric:
        from audit.provenance.rubric import Rubric  # no verdict needs it
        from audit.provenance.rubric_gate import check_rubric

        checks.append(check_rubric(layers.manifests.crjson, Rubric(rubric)))
    status = Evidence(layers.subject, tuple(checks)).status
    verdict = Check(VERDICT, status, row.meaning, value=row.word, source="audit.provenance.words")
    return Evidence(clean_text(layers.subject, limit=255), (verdict, *checks))
