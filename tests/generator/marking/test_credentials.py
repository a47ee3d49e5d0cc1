"""Manifests: what they say, that every statement of the official rubric holds, and that tampering shows."""

from __future__ import annotations

import dataclasses
import io
import json
import multiprocessing
import re
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from PIL import Image

from audit.provenance.rubric import evaluate_rubric
from generator.errors import InputError
from generator.marking import certificates
from generator.marking.credentials import derive_manifest_id, sign
from generator.marking.identity import Identity, development_identity, load_identity
from generator.marking.labels import TRAINED_ALGORITHMIC_MEDIA
from generator.marking.manifest import ASSET_LABEL, NAMESPACE, Disclosure, ManifestFacts, build_manifest
from generator.marking.signing_keys import SigningKey, choose_algorithm, key_to_pem, parse_key

SIGNABLE = ("image/png", "image/jpeg", "image/webp")

FACTS = ManifestFacts(
    title="0123456789abcdef.png",
    asset_id="0123456789abcdef",
    created=datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC),
    generator="assay-test",
    version="1.2",
    weights_digest="sha256:" + "ab" * 32,
    soft_binding_alg="io.github.assay-audit.test",
)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return development_identity(tmp_path_factory.mktemp("identity"))


def encode(mime: str) -> bytes:
    pixels = np.random.default_rng(5).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, mime.removeprefix("image/"))
    return target.getvalue()


def reader(data: bytes, mime: str, identity: Identity | None = None) -> c2pa.Reader:
    settings = {"trust": {"user_anchors": identity.root_pem}} if identity else {}
    return c2pa.Reader(mime, io.BytesIO(data), context=c2pa.Context.from_dict(settings))


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("mime", SIGNABLE)
def test_every_statement_of_the_rubric_holds(mime: str, identity: Identity) -> None:
    signed = sign(encode(mime), mime, manifest=build_manifest(FACTS), identity=identity)
    with reader(signed.data, mime, identity) as opened:
        statements = evaluate_rubric(json.loads(opened.crjson()))
        assert opened.get_validation_state() == "Trusted"
    assert len(statements) == 31
    assert [s for s in statements if not s.passed or s.matches] == []


@pytest.mark.parametrize("mime", SIGNABLE)
def test_pixels_are_untouched_and_the_manifest_is_returned(mime: str, identity: Identity) -> None:
    data = encode(mime)
    signed = sign(data, mime, manifest=build_manifest(FACTS), identity=identity)
    assert np.array_equal(pixels_of(signed.data), pixels_of(data))
    assert signed.manifest in signed.data
    with reader(signed.data, mime) as opened:
        assert opened.get_active_manifest()["label"] == signed.manifest_id


def test_what_the_manifest_says(identity: Identity) -> None:
    signed = sign(encode("image/png"), "image/png", manifest=build_manifest(FACTS), identity=identity)
    with reader(signed.data, "image/png") as opened:
        manifest = json.loads(opened.crjson())["manifests"][0]
    claim, assertions = manifest["claim.v2"], manifest["assertions"]
    assert claim["dc:title"] == FACTS.title
    assert claim["claim_generator_info"]["name"] == "Assay"
    assert claim["claim_generator_info"]["specVersion"] == "2.4.0"
    assert claim["gathered_assertions"] == []
    actions = assertions["c2pa.actions.v2"]
    assert actions["allActionsIncluded"] is True
    created, watermarked = actions["actions"]
    assert created == {
        "action": "c2pa.created",
        "when": "2026-11-24T12:30:05Z",
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA,
        "softwareAgent": {"name": "assay-test", "version": "1.2"},
    }
    assert watermarked["action"] == "c2pa.watermarked.bound"
    binding = assertions["c2pa.soft-binding"]
    assert (binding["alg"], binding["blocks"][0]["value"]) == (FACTS.soft_binding_alg, FACTS.asset_id)
    assert assertions["c2pa.ai-disclosure"] == {
        "modelType": "c2pa.types.model.pytorch",
        "modelName": "assay-test",
        "modelIdentifier": FACTS.weights_digest,
        "contentProfile": {"humanOversightLevel": "prompt_guided"},
    }
    assert assertions[ASSET_LABEL] == {"assetId": FACTS.asset_id, "softBindingAlgorithmListed": False}
    assert not any(label.startswith("c2pa.thumbnail") for label in assertions)
    assert "Assay development identity" in json.dumps(manifest["signature"])


def test_prompt_only_when_given(identity: Identity) -> None:
    open_facts = dataclasses.replace(FACTS, disclosure=Disclosure(prompt="a secret wish <b>"))
    assert "secret wish" not in repr(open_facts)
    manifest = build_manifest(open_facts)
    signed = sign(encode("image/png"), "image/png", manifest=manifest, identity=identity)
    with reader(signed.data, "image/png") as opened:
        crjson = json.loads(opened.crjson())
    created = crjson["manifests"][0]["assertions"]["c2pa.actions.v2"]["actions"][0]
    assert created["parameters"] == {f"{NAMESPACE}.prompt": "a secret wish <b>"}
    assert all(statement.passed for statement in evaluate_rubric(crjson))
    assert "parameters" not in json.dumps(build_manifest(FACTS))


def test_unknown_weights_are_left_out() -> None:
    text = json.dumps(build_manifest(dataclasses.replace(FACTS, weights_digest="")))
    assert "modelIdentifier" not in text


@pytest.mark.parametrize("mime", SIGNABLE)
def test_one_flipped_byte_is_invalid(mime: str, identity: Identity) -> None:
    signed = sign(encode(mime), mime, manifest=build_manifest(FACTS), identity=identity)
    data = bytearray(signed.data)
    # a byte of picture data: PNG keeps the manifest in front, JPEG too, WebP at the end
    at = (
        data.rindex(b"IDAT") + 500
        if mime == "image/png"
        else (len(data) - 500 if mime == "image/jpeg" else 600)
    )
    data[at] ^= 1
    with reader(bytes(data), mime, identity) as opened:
        assert opened.get_validation_state() == "Invalid"
        failures = opened.get_validation_results()["activeManifest"]["failure"]
    assert "assertion.dataHash.mismatch" in {failure["code"] for failure in failures}


@pytest.mark.parametrize("mime", SIGNABLE)
def test_saving_again_loses_the_manifest(mime: str, identity: Identity) -> None:
    signed = sign(encode(mime), mime, manifest=build_manifest(FACTS), identity=identity)
    again = io.BytesIO()
    Image.open(io.BytesIO(signed.data)).save(again, mime.removeprefix("image/"))
    with pytest.raises(c2pa.C2paError.ManifestNotFound):
        reader(again.getvalue(), mime)


def test_manifest_id_follows_from_the_inputs(identity: Identity) -> None:
    data, manifest = encode("image/png"), build_manifest(FACTS)
    name = derive_manifest_id(data, manifest, identity=identity)
    assert re.fullmatch(r"urn:c2pa:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", name)
    assert sign(data, "image/png", manifest=manifest, identity=identity).manifest_id == name
    other = build_manifest(dataclasses.replace(FACTS, version="2"))
    assert derive_manifest_id(data, other, identity=identity) != name
    assert derive_manifest_id(data + b"x", manifest, identity=identity) != name
    signer = dataclasses.replace(identity, chain_pem=identity.chain_pem + "\n")
    assert derive_manifest_id(data, manifest, identity=signer) != name


def test_refusals(identity: Identity) -> None:
    manifest = build_manifest(FACTS)
    with pytest.raises(InputError, match="image/bmp"):
        sign(b"BM", "image/bmp", manifest=manifest, identity=identity)
    with pytest.raises(InputError, match="complete image/png"):
        sign(b"no picture", "image/png", manifest=manifest, identity=identity)
    with pytest.raises(InputError, match="time zone"):
        build_manifest(dataclasses.replace(FACTS, created=datetime(2026, 1, 1)))  # noqa: DTZ001


def own_identity(folder: Path, key: SigningKey, *, purpose: str = "") -> Identity:
    """A leaf for another kind of key, or with another extended key usage, issued by the folder's root; unchecked."""
    development_identity(folder)
    content = (folder / "root.pem").read_bytes()
    root = x509.load_pem_x509_certificates(content)[0]
    root_key = parse_key(content, where="root")
    made = certificates.make_leaf(root, root_key, now=certificates.utc_now())
    pattern = x509.load_pem_x509_certificates(made)[0]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Somebody")]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pattern.not_valid_before_utc)
        .not_valid_after(pattern.not_valid_after_utc)
    )
    for extension in pattern.extensions:
        value = extension.value
        if purpose and isinstance(value, x509.ExtendedKeyUsage):
            value = x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose)])
        if not isinstance(value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(value, extension.critical)
    leaf = builder.sign(root_key, certificates.hashes.SHA256())
    return Identity(
        name="Somebody",
        is_development=False,
        chain_pem=certificates.to_pem([leaf, root]),
        key_pem=key_to_pem(key),
        root_pem=certificates.to_pem([root]),
        not_after=leaf.not_valid_after_utc,
        algorithm=choose_algorithm(key.public_key(), where="test"),
    )


def load(folder: Path, made: Identity) -> Identity:
    (folder / "chain.pem").write_text(made.chain_pem)
    (folder / "key.pem").write_text(made.key_pem)
    return load_identity(folder / "chain.pem", folder / "key.pem")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["es384", "es512", "ed25519", "ps256"],
)
def test_own_identities_of_every_kind_are_trusted(key: SigningKey, tmp_path: Path) -> None:
    own = own_identity(tmp_path, key)
    assert load(tmp_path, own) == own
    signed = sign(encode("image/jpeg"), "image/jpeg", manifest=build_manifest(FACTS), identity=own)
    with reader(signed.data, "image/jpeg", own) as opened:
        assert opened.get_validation_state() == "Trusted"


@pytest.mark.parametrize("purpose", ["1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1", "1.3.6.1.5.5.7.3.3"])
def test_a_certificate_that_nobody_would_accept_never_signs(purpose: str, tmp_path: Path) -> None:
    """documentSigning and claim signing alone sign without complaint and are invalid in every reader."""
    own = own_identity(tmp_path, ec.generate_private_key(ec.SECP256R1()), purpose=purpose)
    with pytest.raises(InputError, match="refuse"):
        sign(encode("image/png"), "image/png", manifest=build_manifest(FACTS), identity=own)
    with pytest.raises(InputError, match="emailProtection"):
        load(tmp_path, own)


def sign_in_child(identity: Identity, answers: object) -> None:
    signed = sign(encode("image/png"), "image/png", manifest=build_manifest(FACTS), identity=identity)
    answers.put(signed.data)


def test_a_forked_child_signs_with_handles_of_its_own(identity: Identity) -> None:
    sign(
        encode("image/png"), "image/png", manifest=build_manifest(FACTS), identity=identity
    )  # fills the caches
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=sign_in_child, args=(identity, answers))
    child.start()
    data = answers.get(timeout=30)
    child.join()
    with reader(data, "image/png", identity) as opened:
        assert opened.get_validation_state() == "Trusted"
