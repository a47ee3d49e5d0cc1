"""The certificate doctor against its judges: the C2PA engine, and the official JSON schemas of the programme."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID
from small_files import picture

from generator.marking.certificates import CLAIM_SIGNING, make_root, to_pem
from generator.marking.profile import Profile, examine, examine_chain
from generator.marking.signing_keys import generate_key, key_to_pem, parse_key

NOW = datetime.now(UTC)
Extensions = dict[str, tuple[x509.ExtensionType, bool]]
POLICY, LEVEL, RECORD = (x509.ObjectIdentifier(f"1.3.6.1.4.1.62558.{end}") for end in ("1.1", "3", "4"))
ROOT_PEM = make_root(NOW)
ROOT = x509.load_pem_x509_certificate(ROOT_PEM)
ROOT_KEY = parse_key(ROOT_PEM, where="root")


def usage(*on: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in on for name in names})


def web(kind: x509.ObjectIdentifier, address: str) -> x509.AccessDescription:
    return x509.AccessDescription(kind, x509.UniformResourceIdentifier(address))


def access(*kinds: x509.ObjectIdentifier, scheme: str = "http") -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess([web(kind, f"{scheme}://ca.example/x") for kind in kinds])


def points(address: str) -> x509.CRLDistributionPoints:
    name = x509.UniformResourceIdentifier(address)
    return x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)])


def purposes(*oids: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(list(oids))


def policies(oid: x509.ObjectIdentifier = POLICY) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(oid, None)])


def exemplary(public: Any) -> Extensions:
    """Everything that the programme's claim signing profile demands."""
    return {
        "ski": (x509.SubjectKeyIdentifier.from_public_key(public), False),
        "aki": (x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT.public_key()), False),
        "ku": (usage("digital_signature", "content_commitment"), True),
        "bc": (x509.BasicConstraints(ca=False, path_length=None), True),
        "eku": (purposes(Purpose.EMAIL_PROTECTION, CLAIM_SIGNING), False),
        "policies": (policies(), False),
        "aia": (access(Access.OCSP, Access.CA_ISSUERS), False),
        "level": (x509.UnrecognizedExtension(LEVEL, bytes.fromhex("060a2b0601040183e85e030a")), False),
        "record": (x509.UnrecognizedExtension(RECORD, b"\x0c\x24" + b"a" * 36), False),
    }


def time_stamping(extensions: Extensions) -> None:
    """Turn the exemplary claim signer into an exemplary time-stamp authority."""
    del extensions["level"], extensions["record"]
    extensions["eku"] = (purposes(Purpose.TIME_STAMPING), True)


def issue(
    *changes: Callable[[Extensions], object],
    key: Any = None,
    days: int = 365,
    start: datetime = NOW - timedelta(hours=1),
    lacks: str = "",
) -> tuple[x509.Certificate, Any]:
    key = key or generate_key("es256")
    extensions = exemplary(key.public_key())
    for change in changes:
        change(extensions)
    parts = {
        "C": (NameOID.COUNTRY_NAME, "DE"),
        "O": (NameOID.ORGANIZATION_NAME, "Org"),
        "CN": (NameOID.COMMON_NAME, "N"),
    }
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(*pair) for name, pair in parts.items() if name != lacks]))
        .issuer_name(ROOT.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    for value, critical in extensions.values():
        builder = builder.add_extension(value, critical)
    return builder.sign(ROOT_KEY, hashes.SHA256()), key


def without(name: str) -> Callable[[Extensions], object]:
    return lambda extensions: extensions.pop(name)


def put(name: str, value: x509.ExtensionType, *, critical: bool = False) -> Callable[[Extensions], object]:
    return lambda extensions: extensions.update({name: (value, critical)})


def missed(certificate: x509.Certificate, profile: Profile, now: datetime = NOW) -> set[str]:
    return {finding.name for finding in examine(certificate, now=now, profile=profile) if not finding.passed}


# What the engine refuses: the change, and the findings that must name it.
REFUSED: dict[str, tuple[set[str], Callable[[Extensions], object]]] = {
    "no purpose": ({"extended_key_usage"}, without("eku")),
    "code signing": ({"extended_key_usage"}, put("eku", purposes(Purpose.CODE_SIGNING))),
    "documents only": (
        {"extended_key_usage"},
        put("eku", purposes(x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"))),
    ),
    "claim signing only": ({"extended_key_usage"}, put("eku", purposes(CLAIM_SIGNING))),
    "any purpose": (
        {"extended_key_usage"},
        put("eku", purposes(Purpose.EMAIL_PROTECTION, Purpose.ANY_EXTENDED_KEY_USAGE)),
    ),
    "time stamping too": (
        {"extended_key_usage"},
        put("eku", purposes(Purpose.EMAIL_PROTECTION, Purpose.TIME_STAMPING)),
    ),
    "no authority key": ({"authority_key_identifier"}, without("aki")),
    "no usage": ({"key_usage"}, without("ku")),
    "usage of encryption": ({"key_usage"}, put("ku", usage("key_encipherment"), critical=True)),
    "usage of an authority": (
        {"key_usage"},
        put("ku", usage("digital_signature", "key_cert_sign"), critical=True),
    ),
    "authority": (
        {"basic_constraints"},
        put("bc", x509.BasicConstraints(ca=True, path_length=None), critical=True),
    ),
    "unknown critical": (
        {"critical_extensions"},
        put("own", x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True),
    ),
}
ACCEPTED: dict[str, Callable[[Extensions], object]] = {
    "exemplary": lambda extensions: None,
    "usage not critical": put("ku", usage("digital_signature")),
    "no constraints": without("bc"),
    "no subject key": without("ski"),
    "no policies": without("policies"),
    "email only": put("eku", purposes(Purpose.EMAIL_PROTECTION)),
}


def engine_accepts(certificate: x509.Certificate, key: Any, algorithm: str = "es256") -> bool:
    """Whether the engine signs with it and calls the result trusted."""
    created = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    actions = {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [created]}}
    definition = {"claim_version": 2, "claim_generator_info": [{"name": "x"}], "assertions": [actions]}
    settings = {"trust": {"user_anchors": to_pem([ROOT])}, "builder": {"thumbnail": {"enabled": False}}}
    context, target = c2pa.Context.from_dict(settings), io.BytesIO()
    texts = (algorithm, to_pem([certificate, ROOT]), key_to_pem(key))
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(*(text.encode() for text in texts), None))
        with c2pa.Builder(definition, context=context) as builder:
            builder.sign(signer, "image/png", io.BytesIO(picture("PNG")), target)
    except c2pa.C2paError:
        return False
    with c2pa.Reader("image/png", target, context=context) as reader:
        return reader.get_validation_state() == "Trusted"


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_refuses_is_named(name: str) -> None:
    expected, change = REFUSED[name]
    certificate, key = issue(change)
    assert not engine_accepts(certificate, key)
    assert missed(certificate, Profile.READER) == expected


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_engine_accepts_passes(name: str) -> None:
    certificate, key = issue(ACCEPTED[name])
    assert engine_accepts(certificate, key)
    assert missed(certificate, Profile.READER) == set()


@pytest.mark.parametrize("days", [-400, 30])
def test_time_is_judged_as_the_engine_does(days: int) -> None:
    certificate, key = issue(start=NOW + timedelta(days=days))
    assert not engine_accepts(certificate, key)
    assert missed(certificate, Profile.READER) == {"validity"}
    assert missed(certificate, Profile.READER, NOW + timedelta(days=days + 10)) == set()


def test_weak_and_strange_keys_are_named() -> None:
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())):
        certificate, _ = issue(key=key)
        assert missed(certificate, Profile.READER) == {"key"}
        assert missed(certificate, Profile.PROGRAMME) == {"key"}


def test_every_refusal_says_what_to_do() -> None:
    for _, change in REFUSED.values():
        certificate, _ = issue(change)
        for finding in examine(certificate, now=NOW):
            assert finding.passed == (finding.remedy == "")
            assert finding.reason.startswith(("it ", "its ", "no ", "the "))


def test_a_chain_out_of_order_is_named() -> None:
    leaf, _ = issue()
    assert examine_chain([leaf]).passed
    assert examine_chain([leaf, ROOT]).passed
    other = x509.load_pem_x509_certificate(make_root(NOW))
    broken = examine_chain([leaf, other])
    assert not broken.passed
    assert "certificate 1" in broken.reason


# The official schemas read a JSON form of a certificate; this is that form, as far as they look at it.


def identifier(oid: x509.ObjectIdentifier) -> Any:
    return {"oid": oid.dotted_string, "name": "x"}


def names_of(name: x509.Name) -> Any:
    return [
        [{"type": identifier(attribute.oid), "value": attribute.value} for attribute in part]
        for part in name.rdns
    ]


def key_of(public: Any) -> Any:
    if isinstance(public, ed25519.Ed25519PublicKey):
        oid, rest = "1.3.101.112", {"curve": "ed25519", "key_size_bits": 256}
    elif isinstance(public, rsa.RSAPublicKey):
        oid, rest = "1.2.840.113549.1.1.1", {"modulus_bits": public.key_size}
    else:
        oid, rest = "1.2.840.10045.2.1", {"curve": public.curve.name, "key_size_bits": public.key_size}
    spki = {"spki_algorithm": {"algorithm": {"oid": oid, "name": "x"}}, "raw_spki_hex": ""}
    return {"algorithm": spki["spki_algorithm"], "publicKey": {**spki, **rest}}


def location(name: x509.GeneralName) -> Any:
    return {"_type": "uniformResourceIdentifier", "value": name.value}


def value_of(value: x509.ExtensionType) -> Any:
    match value:
        case x509.SubjectKeyIdentifier() as found:
            return {"keyIdentifier_hex": found.digest.hex()}
        case x509.AuthorityKeyIdentifier(key_identifier=digest):
            return {} if digest is None else {"keyIdentifier_hex": digest.hex()}
        case x509.KeyUsage() as found:
            agreement = found.key_agreement
            return {
                "digitalSignature": found.digital_signature,
                "contentCommitment": found.content_commitment,
                "keyEncipherment": found.key_encipherment,
                "dataEncipherment": found.data_encipherment,
                "keyAgreement": agreement,
                "keyCertSign": found.key_cert_sign,
                "cRLSign": found.crl_sign,
                "encipherOnly": agreement and found.encipher_only,
                "decipherOnly": agreement and found.decipher_only,
            }
        case x509.BasicConstraints(ca=ca, path_length=length):
            return {"cA": ca, "pathLenConstraint": length}
        case x509.ExtendedKeyUsage() as found:
            return {"extendedKeyUsage": [identifier(oid) for oid in found]}
        case x509.CertificatePolicies() as found:
            return {
                "certificatePolicies": [{"policyIdentifier": identifier(p.policy_identifier)} for p in found]
            }
        case x509.AuthorityInformationAccess() as found:
            entries = [
                {"accessMethod": identifier(d.access_method), "accessLocation": location(d.access_location)}
                for d in found
            ]
            return {"authorityInfoAccess": entries}
        case x509.CRLDistributionPoints() as found:
            return {
                "cRLDistributionPoints": [
                    {"distributionPoint": {"fullName": [location(n) for n in p.full_name or []]}}
                    for p in found
                ]
            }
        case x509.UnrecognizedExtension(value=data) if data[:1] == b"\x06":
            oid = "1.3.6.1.4.1.62558.3.10" if data.hex() == "060a2b0601040183e85e030a" else "1.2"
            return {"_pyasn1_decoded": {"_asn1_type": "ObjectIdentifier", "value": oid}}
        case x509.UnrecognizedExtension(value=data):
            return {"_pyasn1_decoded": {"_asn1_type": "UTF8String", "value": data[2:].decode()}}
    raise AssertionError(value)


def document(certificate: x509.Certificate) -> Any:
    algorithm = {"algorithm": identifier(certificate.signature_algorithm_oid)}
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    validity = {
        "notBefore": start.isoformat(),
        "notAfter": end.isoformat(),
        "computedValidityDays": (end - start).days,
    }
    body = {
        "version": "v3",
        "serialNumber": hex(certificate.serial_number),
        "signature": algorithm,
        "issuer": names_of(certificate.issuer),
        "validity": validity,
        "subject": names_of(certificate.subject),
        "subjectPublicKeyInfo": key_of(certificate.public_key()),
        "extensions": [
            {"extnID": identifier(e.oid), "critical": e.critical, "extnValue": value_of(e.value)}
            for e in certificate.extensions
        ],
    }
    decoded = {"tbsCertificate": body, "signatureAlgorithm": algorithm, "signatureValue_hex": ""}
    return {"format": "certificate", "decoded": decoded}


def constraints(shared_data: Path, name: str) -> jsonschema.Draft202012Validator:
    """The profile's own part of a schema, without the part that describes how the JSON form is laid out."""
    whole = json.loads((shared_data / "c2pa" / "cert-profiles" / name).read_text("utf-8"))
    part = next(key for key in whole["$defs"] if key.endswith("Constraints"))
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{part}", "$defs": whole["$defs"]})


OTHER = x509.ObjectIdentifier("1.3.6.1.4.1.1.1")
CLAIM_CHANGES: dict[str, tuple[set[str], Callable[[Extensions], object]]] = {
    "exemplary": (set(), lambda extensions: None),
    "no subject key": ({"subject_key_identifier"}, without("ski")),
    "no authority key": ({"authority_key_identifier"}, without("aki")),
    "authority without key": (
        {"authority_key_identifier"},
        put("aki", x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(ROOT.subject)], ROOT.serial_number)),
    ),
    "no usage": ({"key_usage"}, without("ku")),
    "usage not critical": ({"key_usage"}, put("ku", usage("digital_signature", "content_commitment"))),
    "usage without commitment": ({"key_usage"}, put("ku", usage("digital_signature"), critical=True)),
    "usage with more": (
        {"key_usage"},
        put("ku", usage("digital_signature", "content_commitment", "key_encipherment"), critical=True),
    ),
    "no constraints": ({"basic_constraints"}, without("bc")),
    "constraints not critical": (
        {"basic_constraints"},
        put("bc", x509.BasicConstraints(ca=False, path_length=None)),
    ),
    "no purpose": ({"extended_key_usage"}, without("eku")),
    "email only": ({"extended_key_usage"}, put("eku", purposes(Purpose.EMAIL_PROTECTION))),
    "claim signing only": ({"extended_key_usage"}, put("eku", purposes(CLAIM_SIGNING))),
    "Adobe's documents": (
        set(),
        put("eku", purposes(CLAIM_SIGNING, x509.ObjectIdentifier("1.2.840.113583.1.1.5"))),
    ),
    "purposes critical": (
        {"extended_key_usage"},
        put("eku", purposes(Purpose.EMAIL_PROTECTION, CLAIM_SIGNING), critical=True),
    ),
    "no policy": ({"policies"}, without("policies")),
    "other policy": ({"policies"}, put("policies", policies(OTHER))),
    "no access": ({"authority_information_access"}, without("aia")),
    "no OCSP": ({"authority_information_access"}, put("aia", access(Access.CA_ISSUERS))),
    "OCSP over https": (
        {"authority_information_access"},
        put("aia", access(Access.OCSP, Access.CA_ISSUERS, scheme="https")),
    ),
    "no issuer address": ({"authority_information_access"}, put("aia", access(Access.OCSP))),
    "revocation list": (set(), put("crl", points("http://ca.example/crl"))),
    "revocation list over ldap": ({"revocation_list"}, put("crl", points("ldap://ca.example/crl"))),
    "revocation list critical": (
        {"revocation_list"},
        put("crl", points("http://ca.example/crl"), critical=True),
    ),
    "no level": ({"assurance_level"}, without("level")),
    "other level": (
        {"assurance_level"},
        put("level", x509.UnrecognizedExtension(LEVEL, bytes.fromhex("060a2b0601040183e85e030b"))),
    ),
    "no record": ({"product_record"}, without("record")),
    "short record": (
        {"product_record"},
        put("record", x509.UnrecognizedExtension(RECORD, b"\x0c\x08" + b"a" * 8)),
    ),
}
TIME_CHANGES: dict[str, tuple[set[str], Callable[[Extensions], object]]] = {
    "exemplary": (set(), lambda extensions: None),
    "purpose not critical": ({"extended_key_usage"}, put("eku", purposes(Purpose.TIME_STAMPING))),
    "more purposes": (
        {"extended_key_usage"},
        put("eku", purposes(Purpose.TIME_STAMPING, Purpose.EMAIL_PROTECTION), critical=True),
    ),
    "no way to revoke": ({"revocation"}, without("aia")),
    "a revocation list is enough": (
        set(),
        lambda extensions: (
            without("aia")(extensions),
            put("crl", points("http://ca.example/crl"))(extensions),
        ),
    ),
    "claim signer's level": (
        {"claim_signing_extensions"},
        put("level", x509.UnrecognizedExtension(LEVEL, bytes.fromhex("060a2b0601040183e85e030a"))),
    ),
    "no policy": ({"policies"}, without("policies")),
}


@pytest.mark.parametrize("name", CLAIM_CHANGES)
def test_claim_signing_leaf_as_the_official_schema_judges_it(name: str, shared_data: Path) -> None:
    expected, change = CLAIM_CHANGES[name]
    certificate, _ = issue(change)
    schema = constraints(shared_data, "claimSigningLeaf.al1.cert.schema.json")
    assert schema.is_valid(document(certificate)) == (expected == set())
    assert missed(certificate, Profile.PROGRAMME) == expected


@pytest.mark.parametrize("name", TIME_CHANGES)
def test_time_stamp_leaf_as_the_official_schema_judges_it(name: str, shared_data: Path) -> None:
    expected, change = TIME_CHANGES[name]
    certificate, _ = issue(time_stamping, change)
    schema = constraints(shared_data, "tsaLeaf.cert.schema.json")
    assert schema.is_valid(document(certificate)) == (expected == set())
    assert missed(certificate, Profile.TIME) == expected


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        (set(), {"days": 366}),
        ({"validity_period"}, {"days": 367}),
        ({"subject"}, {"lacks": "C"}),
        ({"subject"}, {"lacks": "O"}),
        ({"subject"}, {"lacks": "CN"}),
        ({"key"}, {"key": ec.generate_private_key(ec.SECP256K1())}),
        (set(), {"key": ed25519.Ed25519PrivateKey.generate()}),
    ],
)
def test_core_fields_as_the_official_schema_judges_them(
    expected: set[str], options: dict[str, Any], shared_data: Path
) -> None:
    certificate, _ = issue(**options)
    schema = constraints(shared_data, "claimSigningLeaf.al1.cert.schema.json")
    assert schema.is_valid(document(certificate)) == (expected == set())
    assert missed(certificate, Profile.PROGRAMME) == expected


def test_a_time_stamp_authority_may_not_use_ed25519(shared_data: Path) -> None:
    certificate, _ = issue(time_stamping, key=ed25519.Ed25519PrivateKey.generate())
    schema = constraints(shared_data, "tsaLeaf.cert.schema.json")
    assert not schema.is_valid(document(certificate))
    assert missed(certificate, Profile.TIME) == {"key_kind"}
