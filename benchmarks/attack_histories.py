"""Attacks on the history of a picture: laundered, missing and endless ingredients, and signers of ingredients."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from benchmarks.attack_case import REFUSED, TIME_STAMPING, UNKNOWN, Case, Kit, words
from benchmarks.forgeries import EMAIL, Leaf, flip, sign
from benchmarks.store_surgery import (
    box,
    edit_assertions,
    forge,
    manifests,
    part,
    put_store,
    store_of,
)

MANY = 10_000  # ingredients
LAUNDERED = words("laundered ingredient")
CHAIN = "c2pa.chain"


def histories(kit: Kit) -> Iterator[Case]:
    """Histories that do not hold."""
    for group in (_laundered, _signers, _circles, _endless):
        yield from group(kit)


def _laundered(kit: Kit) -> Iterator[Case]:
    parent = flip(kit.signed, -40)
    for depth in range(1, 6):
        parent = sign(parent, kit.leaf, parents=[(f"generation {depth}", parent)])
        if depth in (1, 2, 5):
            yield Case(f"laundered parent at depth {depth}", parent, LAUNDERED, CHAIN)
    broken = flip(kit.other, -40)
    beside = sign(kit.signed, kit.leaf, parents=[("good", kit.signed), ("broken", broken)])
    yield Case("laundered component beside a good parent", beside, LAUNDERED, CHAIN)
    claim = flip(kit.signed, kit.signed.index(b"c2pa.created"))
    edited = sign(kit.plain, kit.leaf, parents=[("edited", claim)])
    yield Case("parent with an edited assertion", edited, LAUNDERED, CHAIN)
    several = sign(kit.signed, kit.leaf, parents=[("good", kit.signed), ("good as well", kit.other)])
    yield Case("parent and component that hold", several, words("trusted"), CHAIN, passes=True)


def _signers(kit: Kit) -> Iterator[Case]:
    """Ingredients signed by somebody whom nobody should trust."""

    def child(leaf: Leaf, name: str, expected: frozenset[str], signed: bytes = kit.signed) -> Case:
        parent = forge(signed, leaf)
        return Case(name, sign(kit.plain, kit.leaf, parents=[("parent", parent)]), expected, CHAIN)

    issue, open_chain = kit.authority.issue, words("trusted")
    yield child(kit.unknown, "parent of an unknown signer", open_chain)
    by_clock = kit.clock.issue("Stamp Signer")
    yield child(by_clock, "parent signed under a time-stamp anchor", open_chain)
    for name, purposes in (
        ("code signing", ["1.3.6.1.5.5.7.3.3"]),
        ("time stamping beside e-mail", [EMAIL, TIME_STAMPING]),
        ("any purpose beside e-mail", [EMAIL, "2.5.29.37.0"]),
    ):
        yield child(issue(purposes=purposes), f"parent signed for {name}", LAUNDERED)
    hidden = sign(kit.plain, issue(purposes=[TIME_STAMPING]), compressed=True)
    child_of_hidden = sign(kit.plain, kit.leaf, parents=[("hidden", hidden)])
    yield Case("parent whose certificate a compressed manifest hides", child_of_hidden, open_chain, CHAIN)
    revoked = issue("Revoked Parent")
    values = {"rVals": {"ocspVals": [kit.authority.revocation(revoked)]}}
    parent = forge(kit.signed, revoked, values)
    yield Case(
        "parent of a revoked signer",
        sign(kit.plain, kit.leaf, parents=[("revoked", parent)]),
        LAUNDERED,
        CHAIN,
    )
    covered = sign(kit.plain, by_clock, parents=[("trusted", kit.signed)])
    yield Case("signer under a time-stamp anchor with a trusted parent", covered, UNKNOWN, "c2pa.trust")


def _relinked(kit: Kit, number: int, target: Callable[[list[bytes]], bytes]) -> bytes:
    """A child, grandparent included, whose manifest `number` names another manifest as its ingredient's."""
    parent = sign(kit.plain, kit.leaf, parents=[("grandparent", kit.signed)])
    child = sign(kit.plain, kit.leaf, parents=[("parent", parent)])
    store = store_of(child)
    labels = [manifest.label for manifest in manifests(store)]
    own, wanted = labels[number], target(labels)

    def relink(assertion: bytes) -> bytes:
        return re.sub(rb"urn:c2pa:[0-9a-f-]{36}", lambda m: m[0] if m[0] == own else wanted, assertion)

    return put_store(child, edit_assertions(store, number, kit.leaf, relink))


def _circles(kit: Kit) -> Iterator[Case]:
    """Manifests that lead to themselves or to nowhere; the hash of the manifest that is named cannot fit."""
    wrong = words(
        "ingredient cycle", "laundered ingredient", "tampered", "manifest damaged", "could not check"
    )
    yield Case(
        "ingredient that is the file itself", _relinked(kit, -1, lambda labels: labels[-1]), wrong, CHAIN
    )
    yield Case(
        "parent that comes from its child", _relinked(kit, -2, lambda labels: labels[-1]), wrong, CHAIN
    )
    nowhere = b"urn:c2pa:00000000-0000-4000-8000-000000000000"
    yield Case("ingredient whose manifest is missing", _relinked(kit, -1, lambda _: nowhere), wrong, CHAIN)
    yield Case("grandparent whose manifest is missing", _relinked(kit, -2, lambda _: nowhere), wrong, CHAIN)
    child = sign(kit.plain, kit.leaf, parents=[("parent", kit.signed)])
    store = store_of(child)
    first, *others = manifests(store)
    without = store[: first.start] + b"".join(store[m.start : m.end] for m in others)
    cut = put_store(child, box(b"jumb", without[8:]))
    yield Case("parent's manifest cut out of the store", cut, wrong, "verdict")
    twice = store[: first.end] + store[first.start :]
    doubled = put_store(child, box(b"jumb", twice[8:]))
    yield Case("parent's manifest twice in the store", doubled, wrong | words("trusted"), "verdict")


def _endless(kit: Kit) -> Iterator[Case]:
    """Histories made to keep a reader busy."""
    parent = kit.signed
    for _ in range(12):
        parent = sign(parent, kit.leaf, parents=[("left", parent), ("right", parent)])
    yield Case("4,096 ways to one ancestor", parent, words("trusted"), CHAIN, passes=True)
    child = sign(kit.plain, kit.leaf, parents=[("parent", kit.plain)])
    yield Case(f"{MANY:,} ingredients", put_store(child, _multiplied(store_of(child))), REFUSED)
    several = sign(kit.plain, kit.leaf, parents=[(f"number {n}", kit.plain) for n in range(300)])
    yield Case("300 ingredients", several, words("trusted"), CHAIN, passes=True)


def _multiplied(store: bytes) -> bytes:
    """The store with its ingredient assertion many times, each under a label of its own.

    Writing it properly takes the engine half a minute; a reader meets the same number of parts.
    """
    manifest = manifests(store)[-1]
    holder = part(store, manifest, b"c2as")
    name = b"c2pa.ingredient.v3\x00"
    start = store.rindex(b"jumd", holder.start, store.index(name)) - 12
    length = int.from_bytes(store[start : start + 4], "big")
    copies = b"".join(_relabelled(store[start : start + length], name, number) for number in range(1, MANY))
    members = store[holder.body : holder.end] + copies
    inner = store[manifest.body : holder.start] + box(b"jumb", members) + store[holder.end : manifest.end]
    outer = store[8 : manifest.start] + box(b"jumb", inner)
    return box(b"jumb", outer)


def _relabelled(assertion: bytes, name: bytes, number: int) -> bytes:
    old = assertion[8 : 8 + int.from_bytes(assertion[8:12], "big")]
    new = old.replace(name, name[:-1] + b"__%d\x00" % number)
    return box(b"jumb", box(b"jumd", new[8:]) + assertion[8 + len(old) :])
