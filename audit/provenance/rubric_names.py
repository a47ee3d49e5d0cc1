"""The lists of names that the rubric's statements compare with.

Source: C2PA asset rubrics 1.0 (2026-08-06), section "variables" of each.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_RESULTS = "MISSING_VALIDATION_RESULTS"
"""Stands for the failure list of a manifest that brings no validation results."""

INCEPTION_ACTIONS = frozenset(
    {
        "c2pa.created",
        "c2pa.opened",
    }
)

NON_EDITORIAL_ACTIONS = frozenset(
    {
        "c2pa.converted",
        "c2pa.edited.metadata",
        "c2pa.enhanced",
        "c2pa.published",
        "c2pa.redacted",
        "c2pa.repackaged",
        "c2pa.resized.proportional",
        "c2pa.transcoded",
        "c2pa.watermarked",
        "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound",
    }
)

SOURCE_TYPE_EXEMPT_ACTIONS = frozenset(
    {
        "c2pa.placed",
    }
)

ALLOWED_ACTIONS = frozenset(
    {
        "c2pa.addedText",
        "c2pa.adjustedColor",
        "c2pa.changedSpeed",
        "c2pa.color_adjustments",
        "c2pa.converted",
        "c2pa.created",
        "c2pa.cropped",
        "c2pa.deleted",
        "c2pa.drawing",
        "c2pa.dubbed",
        "c2pa.edited",
        "c2pa.edited.metadata",
        "c2pa.enhanced",
        "c2pa.filtered",
        "c2pa.mastered",
        "c2pa.mixed",
        "c2pa.opened",
        "c2pa.orientation",
        "c2pa.placed",
        "c2pa.published",
        "c2pa.redacted",
        "c2pa.remixed",
        "c2pa.removed",
        "c2pa.repackaged",
        "c2pa.resized",
        "c2pa.resized.proportional",
        "c2pa.transcoded",
        "c2pa.translated",
        "c2pa.trimmed",
        "c2pa.unknown",
        "c2pa.watermarked",
        "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound",
    }
)

DEPRECATED_ACTIONS = frozenset(
    {
        "c2pa.color_adjustments",
        "c2pa.copied",
        "c2pa.formatted",
        "c2pa.managed",
        "c2pa.printed",
        "c2pa.produced",
        "c2pa.saved",
        "c2pa.version_updated",
        "c2pa.watermarked",
    }
)

ALLOWED_ASSERTIONS = frozenset(
    {
        "c2pa.actions.v2",
        "c2pa.ai-disclosure",
        "c2pa.alternative-content-representation",
        "c2pa.assertion.metadata",
        "c2pa.asset-ref",
        "c2pa.asset-type.v2",
        "c2pa.certificate-status",
        "c2pa.cloud-data",
        "c2pa.depthmap.GDepth",
        "c2pa.embedded-data",
        "c2pa.environmental-sustainability",
        "c2pa.external-reference",
        "c2pa.hash.bmff.v3",
        "c2pa.hash.boxes",
        "c2pa.hash.collection.data",
        "c2pa.hash.data",
        "c2pa.hash.data.part",
        "c2pa.hash.multi-asset",
        "c2pa.icon",
        "c2pa.ingredient.v3",
        "c2pa.metadata",
        "c2pa.repository-receipt",
        "c2pa.session-keys",
        "c2pa.soft-binding",
        "c2pa.thumbnail.claim",
        "c2pa.thumbnail.ingredient",
        "c2pa.time-stamp",
        "font.info",
    }
)

DEPRECATED_ASSERTIONS = frozenset(
    {
        "c2pa.actions",
        "c2pa.asset-type",
        "c2pa.claim",
        "c2pa.hash.bmff.v2",
        "c2pa.ingredient",
        "c2pa.ingredient.v2",
    }
)

STANDARD_PARAMETERS = frozenset(
    {
        "description",
        "ingredient",
        "ingredients",
        "italic",
        "multipleInstances",
        "optical-size",
        "ranges",
        "redacted",
        "relatedAssertions",
        "slant",
        "sourceLanguage",
        "targetLanguage",
        "weight",
        "width",
    }
)

RELATIONSHIPS = frozenset(
    {
        "componentOf",
        "inputTo",
        "parentOf",
    }
)

HUMAN_ENTRY = frozenset(
    {
        "humanEntry.anonymous",
        "humanEntry.credentialed",
    }
)

TIFF_TYPES = frozenset(
    {
        "image/tiff",
        "image/x-adobe-dng",
    }
)

FORBIDDEN_REFERENCES = frozenset(
    {
        "c2pa.actions",
        "c2pa.actions.v2",
        "c2pa.cloud-data",
        "c2pa.external-reference",
    }
)

STRUCTURAL_CODES = frozenset(
    {
        NO_RESULTS,
        "assertion.action.malformed",
        "assertion.alternativeContentRepresentation.malformed",
        "assertion.alternativeContentRepresentation.missing",
        "assertion.bmffHash.malformed",
        "assertion.boxesHash.malformed",
        "assertion.boxesHash.unknownBox",
        "assertion.cbor.invalid",
        "assertion.collectionHash.malformed",
        "assertion.dataHash.malformed",
        "assertion.external-reference.created",
        "assertion.external-reference.labelMismatch",
        "assertion.external-reference.malformed",
        "assertion.ingredient.malformed",
        "assertion.json.invalid",
        "assertion.multiAssetHash.malformed",
        "assertion.multipleHardBindings",
        "claim.cbor.invalid",
        "claim.hardBindings.missing",
        "claim.malformed",
        "claim.missing",
        "claim.multiple",
        "hashedURI.missing",
        "ingredient.manifest.missing",
        "manifest.compressed.invalid",
        "manifest.html.multipleManifests",
        "manifest.inaccessible",
        "manifest.multipleParents",
        "manifest.structuredText.emptyReference",
        "manifest.structuredText.malformedReference",
        "manifest.structuredText.multipleReferences",
        "manifest.structuredText.noManifest",
        "manifest.structuredText.noResolutionPath",
        "manifest.timestamp.invalid",
        "manifest.timestamp.wrongParents",
        "manifest.update.invalid",
        "manifest.update.wrongParents",
    }
)

MISMATCH_CODES = frozenset(
    {
        NO_RESULTS,
        "assertion.action.ingredientMismatch",
        "assertion.action.redactionMismatch",
        "assertion.alternativeContentRepresentation.hashMismatch",
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.collectionHash.mismatch",
        "assertion.dataHash.mismatch",
        "assertion.external-reference.hashMismatch",
        "assertion.hardBinding.redacted",
        "assertion.hashedURI.mismatch",
        "assertion.multiAssetHash.mismatch",
        "claimSignature.missing",
        "hashedURI.mismatch",
        "ingredient.claimSignature.mismatch",
        "ingredient.claimSignature.missing",
        "ingredient.manifest.mismatch",
    }
)

TRUST_CODES = frozenset(
    {
        NO_RESULTS,
        "claimSignature.mismatch",
        "claimSignature.outsideValidity",
        "signingCredential.invalid",
        "signingCredential.ocsp.revoked",
        "signingCredential.untrusted",
    }
)

GENAI_SOURCE_TYPES = frozenset(
    {
        "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData",
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic",
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
)

POSSIBLY_GENAI_SOURCE_TYPES = frozenset(
    {
        "http://cv.iptc.org/newscodes/digitalsourcetype/composite",
        "http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt",
    }
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The lists that differ between versions of the specification."""

    allowed_actions: frozenset[str]
    allowed_assertions: frozenset[str]
    deprecated_actions: frozenset[str]
    standard_parameters: frozenset[str]


_NEW_ACTIONS = frozenset(
    {
        "c2pa.mastered",
        "c2pa.mixed",
        "c2pa.remixed",
        "c2pa.resized.proportional",
        "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound",
    }
)
_NEW_ASSERTIONS = frozenset(
    {
        "c2pa.ai-disclosure",
        "c2pa.alternative-content-representation",
        "c2pa.environmental-sustainability",
        "c2pa.external-reference",
        "c2pa.repository-receipt",
        "c2pa.session-keys",
    }
)

VOCABULARIES = {
    "2.4": Vocabulary(ALLOWED_ACTIONS, ALLOWED_ASSERTIONS, DEPRECATED_ACTIONS, STANDARD_PARAMETERS),
    "2.2": Vocabulary(
        ALLOWED_ACTIONS - _NEW_ACTIONS,
        ALLOWED_ASSERTIONS - _NEW_ASSERTIONS,
        DEPRECATED_ACTIONS - {"c2pa.watermarked"},
        STANDARD_PARAMETERS - {"relatedAssertions"},
    ),
}
"""Version of the specification -> its lists. The 2.2 lists lack what came between 2.2 and 2.4."""
