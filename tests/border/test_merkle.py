"""Proofs by the definition: what is there can be shown, and nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.border.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    grown,
    inclusion_proof,
    leaf_hash,
    node_hash,
    proves_consistency,
    proves_inclusion,
    root_of,
    subtrees,
)


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(tree(leaves[:k]), tree(leaves[k:]))


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(count)]


@given(st.integers(0, 70))
def test_the_root_is_that_of_the_definition_however_it_is_reached(size: int) -> None:
    leaves = hashes(size)
    frontier: list[bytes] = []
    for n, leaf in enumerate(leaves):
        frontier = grown(frontier, n, leaf)
    assert root_of(frontier) == tree(leaves) == subtrees(leaves)(0, size)


@given(st.data())
def test_every_leaf_can_be_shown_and_no_other_leaf_or_place(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    root = tree(leaves)
    proof = inclusion_proof(subtrees(leaves), index, size)
    assert len(proof) <= (size - 1).bit_length()
    assert proves_inclusion(proof, leaves[index], index, size, root)
    assert not proves_inclusion(proof, leaf_hash(b"other"), index, size, root)
    assert not proves_inclusion([*proof, EMPTY_ROOT], leaves[index], index, size, root)
    if size > 1:
        assert not proves_inclusion(proof, leaves[index], (index + 1) % size, size, root)
        assert not proves_inclusion(proof[:-1], leaves[index], index, size, root)


@given(st.data())
def test_a_tree_that_grew_can_be_shown_to_have_grown_and_one_that_changed_cannot(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(0, size))
    leaves = hashes(size)
    before, after = tree(leaves[:old]), tree(leaves)
    proof = consistency_proof(subtrees(leaves), old, size)
    assert len(proof) <= (size - 1).bit_length() + 1
    assert proves_consistency(proof, old, before, size, after)
    assert not proves_consistency([*proof, EMPTY_ROOT], old, before, size, after)
    if old:
        changed = [leaf_hash(b"changed"), *leaves[1:]]
        assert not proves_consistency(proof, old, tree(changed[:old]), size, after)
        forged = consistency_proof(subtrees(changed), old, size)
        assert not proves_consistency(forged, old, before, size, tree(changed))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_place_outside_the_tree_is_never_shown(index: int, size: int) -> None:
    assert not proves_inclusion([], leaf_hash(b"0"), index, size, leaf_hash(b"0"))


def test_an_older_tree_is_never_larger() -> None:
    leaves = hashes(4)
    assert not proves_consistency([], 5, tree(leaves), 4, tree(leaves))
    assert not proves_consistency([], 3, tree(leaves[:3]), 4, tree(leaves))
