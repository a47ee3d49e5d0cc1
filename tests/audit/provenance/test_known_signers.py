"""A signer who was judged a moment ago is not judged again, and no verdict depends on that."""

from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path

import pytest

from audit.provenance import known_signers
from audit.provenance.channels import find_channels
from audit.provenance.gather import Setup, examine
from audit.provenance.known_signers import recall, remember
from audit.provenance.layers import Layers
from audit.provenance.read import ManifestState
from audit.provenance.trust import build_lists
from benchmarks.attack_case import Kit
from benchmarks.forgeries import flip, picture, sign
from benchmarks.store_surgery import store_of


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setattr(known_signers, "_known", {})
    return Kit(tmp_path)


def layers_of(path: Path, data: bytes, kit: Kit) -> Layers:
    path.write_bytes(data)
    return examine(path, Setup(trust=kit.trust, search="off"), with_crjson=False)


def is_known(data: bytes, kit: Kit) -> bool:
    return recall(find_channels(data), kit.trust) is not None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_second_file_of_a_signer_is_judged_as_the_first(kind: str, tmp_path: Path, kit: Kit) -> None:
    data = sign(picture(kind), kit.leaf, mime=f"image/{kind.lower()}")
    for content in (data, data + b"x"):
        first = layers_of(tmp_path / "a", content, kit)
        assert is_known(content, kit)
        assert layers_of(tmp_path / "a", content, kit) == first
        assert first.manifests.trust_list == "assay:signers"


def test_only_a_signer_whom_a_list_vouches_for_is_known(tmp_path: Path, kit: Kit) -> None:
    stranger = sign(kit.plain, kit.unknown)
    layers_of(tmp_path / "a", stranger, kit)
    assert not is_known(stranger, kit)
    layers_of(tmp_path / "a", kit.signed, kit)
    assert is_known(kit.signed, kit)
    assert not is_known(stranger, kit)
    assert layers_of(tmp_path / "a", stranger, kit).manifests.state is ManifestState.VALID


def test_what_only_the_engine_read_as_trusted_is_not_known(tmp_path: Path, kit: Kit) -> None:
    """A file that shows us another certificate than the engine must not make a stranger known."""
    codes = layers_of(tmp_path / "a", kit.signed, kit).manifests.codes
    ours = find_channels(sign(kit.plain, kit.unknown))
    known_signers._known.clear()
    remember(ours, kit.trust, codes)
    assert recall(ours, kit.trust) is None
    remember(find_channels(kit.signed), kit.trust, codes)
    assert is_known(kit.signed, kit), "the same words with the certificate that the list vouches for"


def test_other_lists_know_nobody(tmp_path: Path, kit: Kit) -> None:
    layers_of(tmp_path / "a", kit.signed, kit)
    others = build_lists([kit.stranger.pem], [], [], source="others")
    assert recall(find_channels(kit.signed), others) is None


def test_files_whose_trust_rests_on_more_than_the_certificates_are_judged_anew(
    tmp_path: Path, kit: Kit
) -> None:
    layers_of(tmp_path / "a", kit.signed, kit)
    channels = find_channels(kit.signed)
    stamped = find_channels(kit.stamped)
    assert recall(channels, kit.trust)
    assert stamped.chain == channels.chain
    assert recall(stamped, kit.trust) is None
    for change in ({"is_stamped": True}, {"ocsp": (b"x",)}, {"chain": channels.chain[:1]}):
        assert recall(dataclasses.replace(channels, **change), kit.trust) is None
    with_parent = sign(picture(seed=2), kit.leaf, parents=[("image/png", kit.signed)])
    assert find_channels(with_parent).ingredients
    assert recall(find_channels(with_parent), kit.trust) is None


def test_knowledge_ends(tmp_path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    layers_of(tmp_path / "a", kit.signed, kit)
    later = time.monotonic() + 301
    monkeypatch.setattr(known_signers.time, "monotonic", lambda: later)
    assert not is_known(kit.signed, kit)


def test_no_more_signers_are_kept_than_said(
    tmp_path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_signers, "MAX_KNOWN", 1)
    another = sign(kit.plain, kit.authority.issue("Second"))
    for data in (kit.signed, another):
        layers_of(tmp_path / "a", data, kit)
    assert is_known(kit.signed, kit)
    assert not is_known(another, kit)


def test_a_forged_signature_of_a_known_signer_fails(tmp_path: Path, kit: Kit) -> None:
    """Changed where the signature lies: the last bytes of the store."""
    layers_of(tmp_path / "a", kit.signed, kit)
    store = store_of(kit.signed)
    start = kit.signed.index(store)
    signature = start + store.rindex(b"\x58\x40") + 2  # 64 bytes of CBOR
    forged = flip(kit.signed, signature + 5)
    assert is_known(forged, kit)
    assert layers_of(tmp_path / "a", forged, kit).manifests.codes.has("claimSignature.mismatch")


def test_channels_are_looked_for_in_anything(kit: Kit) -> None:
    """Before an engine has seen the file."""
    svg = b"<svg><c2pa:manifest>AAA</c2pa:manifest></svg>"
    gif = b"GIF89a!\xff\x0bC2PA_GIF\x01\x00\x00\x05abcde"
    rng = random.Random(1)
    for whole in (kit.signed, sign(picture("JPEG"), kit.leaf, mime="image/jpeg"), svg, gif):
        for _ in range(300):
            data = bytearray(whole[: rng.randrange(len(whole) + 1)] if rng.random() < 0.5 else whole)
            for position in rng.sample(range(len(data)), min(4, len(data))):
                data[position] = rng.randrange(256)
            find_channels(bytes(data))
    assert not find_channels(svg).chain
