"""Files signed by others, and what is expected of each part: names and expectations only, no data.

The files are fixtures of c2pa-rs and pictures of well-known generators, kept in development data beside the project.
A row that differs from the C2PA engine's own state (`engine`) says why.
"""

from __future__ import annotations

from pathlib import Path

from audit.provenance.gather import Setup, build_setup, examine
from audit.provenance.verdict import judge

ROOTS = "trust/test-roots-for-fixtures.pem"
"""Trust list that the expectations are for, below the folder of the data."""

_TABLE = """
# file                              | engine     | word                               | status       | integrity  | signature | trust     | time                   | chain
fixtures/C.jpg                      | trusted    | trusted                            | pass         | intact     | valid    | trusted   | stamped                | no-ingredients
fixtures/CA.jpg                     | trusted    | trusted                            | pass         | intact     | valid    | trusted   | stamped                | sound
# Its time stamp is of an authority that is not among the test roots; the certificate is still valid.
fixtures/CACA.jpg                   | trusted    | trusted                            | pass         | intact     | valid    | trusted   | stamp-unproven         | sound
# Engine: trusted. An ingredient two generations up has a changed assertion, as its name says; it is recorded.
fixtures/CACAE-uri-CA.jpg           | trusted    | laundered ingredient               | fail         | intact     | valid    | trusted   | stamped                | laundered
# Engine: trusted. The ingredient's signature is invalid, as its name says, and that is recorded.
fixtures/CIE-sig-CA.jpg             | trusted    | laundered ingredient               | fail         | intact     | valid    | trusted   | stamped                | laundered
# Engine: valid, because of the CAWG identity's certificate; the C2PA signer itself is trusted.
fixtures/C_with_CAWG_data.jpg       | valid      | trusted                            | inconclusive | intact     | valid    | trusted   | stamp-unproven         | no-ingredients
fixtures/E-sig-CA.jpg               | invalid    | tampered                           | fail         | intact     | mismatch | moot      | moot                   | sound
fixtures/XCA.jpg                    | invalid    | tampered                           | fail         | altered    | valid    | trusted   | stamped                | sound
fixtures/boxhash.jpg                | trusted    | trusted                            | pass         | intact     | valid    | trusted   | stamped                | sound
fixtures/cloud.jpg                  | remote     | manifest elsewhere                 | inconclusive | remote     | none     | none      | none                   | none
fixtures/cloud_manifest.c2pa        | unreadable | could not check                    | error        | unreadable | none     | none      | none                   | none
fixtures/legacy_ingredient_hash.jpg | trusted    | trusted                            | pass         | intact     | valid    | trusted   | stamped                | sound
fixtures/no_alg.jpg                 | malformed  | manifest damaged                   | fail         | damaged    | none     | none      | none                   | none
fixtures/no_manifest.jpg            | absent     | nothing found                      | inconclusive | absent     | none     | none      | none                   | none
fixtures/ocsp.jpg                   | valid      | intact, signer not on a trust list | inconclusive | intact     | valid    | untrusted | stamped                | unproven
fixtures/prerelease.jpg             | prerelease | could not check                    | error        | prerelease | none     | none      | none                   | none
fixtures/sample1.avif               | absent     | nothing found                      | inconclusive | absent     | none     | none      | none                   | none
fixtures/sample1.webp               | absent     | nothing found                      | inconclusive | absent     | none     | none      | none                   | none
fixtures/tiff_poc.tiff              | unreadable | could not check                    | error        | unreadable | none     | none      | none                   | none
fixtures/update_manifest.jpg        | trusted    | trusted                            | pass         | intact     | valid    | trusted   | none-needed            | sound
# Engine: invalid. The content is as signed; only the certificate ended, and no time stamp helps.
samples/chatgpt-1.png               | invalid    | expired, no time stamp             | fail         | intact     | valid    | untrusted | expired                | unproven
samples/firefly-1.png               | valid      | intact, signer not on a trust list | inconclusive | intact     | valid    | untrusted | stamped                | no-ingredients
# Engine: invalid. Its time stamp's authority is on no list given; with it the signature counts.
samples/flux-1.jpg                  | invalid    | expired, time stamp not trusted    | inconclusive | intact     | valid    | untrusted | expired-stamp-unproven | no-ingredients
"""  # noqa: E501 - a table

EXPECTED: dict[str, tuple[str, ...]] = {
    file: tuple(expected)
    for file, *expected in (
        [cell.strip() for cell in line.split("|")]
        for line in _TABLE.strip().splitlines()
        if not line.startswith("#")
    )
}
"""File below the folder of the data -> the engine's state, the overall word, its status, and each part."""


def corpus_setup(folder: Path) -> Setup:
    """What the expectations are for: the test roots, and no look at the pixels."""
    return build_setup(trust=folder / ROOTS, search="off")


def parts_of(path: Path, setup: Setup) -> tuple[str, ...]:
    """One file in the form of a row of the table."""
    layers = examine(path, setup)
    evidence = judge(layers)
    parts = [
        str(evidence.find(f"c2pa.{part}").value)
        for part in ("integrity", "signature", "trust", "time", "chain")
    ]
    word = str(evidence.find("verdict").value)
    return (str(layers.manifests.state), word, str(evidence.status), *parts)
