"""One demand on a certificate and whether it is met: what the profiles are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509

EMAIL_PROTECTION = "emailProtection (1.3.6.1.5.5.7.3.4)"
"""The key purpose that every reader accepts for signing, as it is named in messages."""

_E = TypeVar("_E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Finding:
    """One demand.

    Attributes:
        name: what it is about, e.g. "extended_key_usage".
        passed: whether the certificate meets it.
        reason: a part of a sentence that starts with "it" or "its", in plain words; when passed, what was found.
        remedy: what to ask the issuer for; empty when passed.
    """

    name: str
    passed: bool
    reason: str
    remedy: str = ""


def find_extension(certificate: x509.Certificate, kind: type[_E]) -> x509.Extension[_E] | None:
    """The certificate's extension of a kind, if it has one."""
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def met(name: str, reason: str) -> Finding:
    """A demand that is met."""
    return Finding(name, passed=True, reason=reason)


def missed(name: str, reason: str, remedy: str) -> Finding:
    """A demand that is not met."""
    return Finding(name, passed=False, reason=reason, remedy=remedy)


def finding(name: str, *, passed: bool, good: str, bad: str, remedy: str) -> Finding:
    """A finding whose text depends on whether the demand is met."""
    return met(name, good) if passed else missed(name, bad, remedy)


def extension_finding(
    name: str,
    extension: x509.Extension[_E] | None,
    *,
    critical: bool,
    holds: bool = True,
    what: str = "",
) -> Finding:
    """A demand that an extension is there, critical or not, and holds something."""
    title = name.replace("_", " ")
    kind = "critical" if critical else "not critical"
    remedy = f"ask for the extension {title}, {kind}" + (f", with {what}" if what else "")
    if extension is None:
        return missed(name, f"its {title} extension is missing", remedy)
    if not holds:
        return missed(name, f"its {title} extension does not hold {what}", remedy)
    if extension.critical is not critical:
        return missed(name, f"its {title} extension must be {kind}", remedy)
    return met(name, f"its {title} extension is as demanded")
