"""A time stamp counts only when a time-stamp authority of the reader's own list vouches for it.

The engine does not hold its lists apart: it calls a time stamp trusted when its authority stands under an anchor for
signers or under the development root (measured with c2pa-rs 0.91), and so anybody whom such an anchor certified could
say when an ended certificate signed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from audit.provenance.codes import Code, Codes
from audit.provenance.read import Manifests, read_manifests
from audit.provenance.trust import TIME_LIST, TrustLists

_TRUSTED, _UNTRUSTED = "timeStamp.trusted", "timeStamp.untrusted"


def distrust_foreign_stamp(
    report: Manifests,
    path: Path,
    trust: TrustLists,
    *,
    content: bytes | None = None,
    sidecar: bytes | None = None,
) -> Manifests:
    """The report without a time stamp's trust that comes from another list than that of time-stamp authorities.

    The same report when there is nothing to change. Otherwise what it says of the certificate's validity rests on
    that stamp, and has to be judged again.

    Args:
        report: of the engine.
        path: of the file, which is read again when an authority may stand on both lists.
        trust: anchors by purpose.
        content: of the file, when it was read already.
        sidecar: the manifest store, when it lies beside the file.
    """
    if not trust.time_stamps:
        return report
    foreign = [code for code in report.codes.success if code.code == _TRUSTED and not _by_time_list(code)]
    if not foreign or (
        set(trust.time_stamps) & set(trust.signers) and _holds_alone(path, trust, content, sidecar)
    ):
        return report
    codes = Codes(
        tuple(code for code in report.codes.success if code.code != _TRUSTED),
        (*report.codes.informational, *(Code(_UNTRUSTED, code.url) for code in foreign)),
        report.codes.failure,
    )
    return dataclasses.replace(report, codes=codes)


def _by_time_list(code: Code) -> bool:
    """By the end of the engine's words, since the authority's own name stands before it."""
    return code.explanation.endswith(f"trust list: {TIME_LIST}")


def _holds_alone(path: Path, trust: TrustLists, content: bytes | None, sidecar: bytes | None) -> bool:
    """Whether the stamp is trusted when only time-stamp authorities are."""
    alone = TrustLists(time_stamps=trust.time_stamps, purposes=trust.purposes)
    return read_manifests(path, alone, content=content, sidecar=sidecar, with_crjson=False).codes.has(
        _TRUSTED
    )
