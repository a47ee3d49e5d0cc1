"""The identifier: forms, range, derivation."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import InputError
from generator.marking.payload import AssetId

SECRET = bytes(range(32))


@given(st.integers(0, 2**64 - 1), st.sampled_from([64, 128]))
def test_text_form_round_trips(value: int, bits: int) -> None:
    asset = AssetId(value, bits)
    assert len(asset.hex) == bits // 4
    assert asset.hex == asset.hex.lower() == str(asset)
    assert AssetId.from_hex(asset.hex) == asset


@pytest.mark.parametrize("value", [-1, 2**64, True, 1.0, "1", None])
def test_what_is_no_64_bit_integer_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        AssetId(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "0" * 15, "0" * 17, "A" * 16, "0x" + "0" * 14, "0" * 15 + "g", "0" * 16 + "\n", "0" * 24, "0" * 33],
)
def test_other_text_forms_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="16 lower-case"):
        AssetId.from_hex(text)


def test_length_is_one_of_two() -> None:
    assert AssetId(2**128 - 1, 128).hex == "f" * 32
    assert AssetId(5, 128) != AssetId(5)
    for attempt in (
        lambda: AssetId(2**128, 128),
        lambda: AssetId(1, 65),
        lambda: AssetId.derive(SECRET, "a", bits=8),
    ):
        with pytest.raises(InputError, match=r"range|length"):
            attempt()


def test_an_identifier_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        AssetId(1).value = 2  # type: ignore[misc]


def test_derivation_is_frozen() -> None:
    # Written down once: a resumed run of an older version must derive the same identifiers.
    assert AssetId.derive(SECRET, "nurse-03/7").hex == "46cb37798bef197a"
    assert len(AssetId.derive(SECRET, "nurse-03/7", bits=128).hex) == 32


@given(st.text(min_size=1), st.text(min_size=1))
def test_derivation_depends_on_context_and_secret(one: str, other: str) -> None:
    assert AssetId.derive(SECRET, one) == AssetId.derive(SECRET, one)
    assert (AssetId.derive(SECRET, one) == AssetId.derive(SECRET, other)) == (one == other)
    assert AssetId.derive(SECRET, one) != AssetId.derive(SECRET[::-1], one)


@pytest.mark.parametrize("secret", [b"", bytes(15), bytes(65)])
def test_bad_secret_is_refused_without_showing_it(secret: bytes) -> None:
    with pytest.raises(InputError, match=f"{len(secret)} bytes"):
        AssetId.derive(secret, "a/0")


def test_empty_context_is_refused() -> None:
    with pytest.raises(InputError, match="context"):
        AssetId.derive(SECRET, "")
