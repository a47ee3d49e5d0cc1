"""One file asked everything that `assay verify` was told to ask; picklable, so that worker processes can have it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.evidence import JSON, Check, Evidence, Status
from audit.inputs import Source
from audit.provenance.checks_content import check_content
from audit.provenance.gather import Setup, examine
from audit.provenance.verdict import judge

if TYPE_CHECKING:
    from audit.provenance.layers import Layers

WHAT_IF = "what_if"
TOKEN = "ASSAY_RESOLUTION_TOKEN"  # noqa: S105 - name of an environment variable
"""Environment variable with the bearer token of a resolution server."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What to ask of every file.

    Attributes:
        setup: what to look with.
        rubric: name of an official rubric; "" for none.
        cross_check: ask every other engine that is installed.
        what_if: judge again under other assumptions.
        recover: look for a lost manifest in the ledger.
        server: address of a resolution server that is asked as well; "" for none.
    """

    setup: Setup
    rubric: str = ""
    cross_check: bool = False
    what_if: bool = False
    recover: bool = False
    server: str = ""

    def __call__(self, source: Source) -> Evidence:
        """Judge one file."""
        layers = examine(source.path, self.setup, with_crjson=bool(self.rubric))
        further: list[Check] = []
        further += check_content(layers, source.path)
        if self.cross_check:
            from audit.provenance.engines import check_engines

            further.append(check_engines(layers, source.path, self.setup.trust))
        if self.recover or self.server:
            further += self._recovered(layers, source)
        if self.what_if:
            further.append(self._alternatives(layers, source))
        return judge(layers, rubric=self.rubric, further=further)

    def _alternatives(self, layers: Layers, source: Source) -> Check:
        from audit.provenance.whatif import what_if

        table: list[JSON] = [
            alternative.to_json() for alternative in what_if(layers, source.path, self.setup.trust)
        ]
        reason = "What would change the verdict is in the details; it says nothing of the file as it is."
        details: dict[str, JSON] = {"alternatives": table}
        return Check(
            WHAT_IF, Status.SKIPPED, reason, value="table", source="audit.provenance.whatif", details=details
        )

    def _recovered(self, layers: Layers, source: Source) -> tuple[Check, ...]:
        from audit.provenance.recovery import recover
        from audit.provenance.recovery_checks import check_recovery
        from audit.provenance.recovery_client import ResolutionClient
        from audit.provenance.recovery_sources import LedgerSource, ServerSource

        if layers.is_intact:
            reason = "The file has Content Credentials that hold, so nothing has to be recovered."
            return (
                Check("recovered", Status.SKIPPED, reason, value="not-needed", source="audit.verification"),
            )
        ledger = [LedgerSource(self.setup.ledger)] if self.setup.ledger is not None else []
        server = (
            [ServerSource(ResolutionClient(self.server, token=os.environ.get(TOKEN, "")))]
            if self.server
            else []
        )
        recovery = recover(
            source.path,
            [*ledger, *server],
            payload=layers.watermark.payload,
            geometry=layers.watermark.geometry,
            trust=self.setup.trust,
        )
        return check_recovery(recovery, layers)
