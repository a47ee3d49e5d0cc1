"""The check of the bytes that no signature covers, by name."""

from __future__ import annotations

from audit.evidence import JSON, Check, Status
from audit.provenance.layers import Layers

NAME = "c2pa.unsigned"
_SOURCE = "audit.provenance.channels"


def check_unsigned(layers: Layers) -> Check:
    """Do the bytes that no signature covers hold what they should? Values: standard, used, unread, none."""
    channels = layers.channels
    if not layers.manifests.is_present:
        reason = "Without readable Content Credentials there is nothing to check."
        return Check(NAME, Status.SKIPPED, reason, value="none", source=_SOURCE)
    if not channels.chain:
        reason = (
            "Where the signature lies in this file could not be made out, so what it leaves uncovered and what its "
            "certificate may be used for are not known."
        )
        return Check(NAME, Status.INCONCLUSIVE, reason, value="unread", source=_SOURCE)
    sizes = channels.sizes
    named = ", ".join(f"{name} ({size:,} bytes)" for name, size in sizes.items())
    bytes_of: dict[str, JSON] = dict(sizes)
    used: list[JSON] = list(channels.used)
    details: dict[str, JSON] = {"bytes": bytes_of, "used": used, "after_end_of_picture": channels.trailing}
    said = (
        f"No signature covers {named}."
        if named
        else "Padding and headers of the store are covered by nothing."
    )
    if channels.trailing:
        said += f" {channels.trailing:,} bytes after the end of the picture are covered, but no viewer shows them."
    if not channels.used:
        reason = f"{said} They hold what they should."
        return Check(NAME, Status.PASS, reason, value="standard", source=_SOURCE, details=details)
    reason = f"{said} Something else than usual stands in {' and '.join(channels.used)}."
    step = "The signed content is not affected; ask for the original file if you need its exact bytes."
    return Check(
        NAME, Status.INCONCLUSIVE, reason, value="used", source=_SOURCE, next_step=step, details=details
    )
