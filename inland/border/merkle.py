"""Merkle trees as RFC 6962 (section 2.1) has them: roots, and proofs that a stranger can check. Pure.

A leaf is hashed with a zero byte before it, a node with a one byte: neither can stand for the other. The tree of n
leaves splits at the largest power of two below n. Proofs are lists of hashes, logarithmic in n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
Subtree = Callable[[int, int], bytes]
"""The root of leaves [first, last)."""


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962: SHA-256 of a zero byte and the leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962: SHA-256 of a one byte and both children."""
    return sha256(b"\x01" + left + right).digest()


def grown(frontier: Sequence[bytes], size: int, leaf: bytes) -> list[bytes]:
    """The frontier (roots of the full subtrees, largest first) of a tree of ``size`` leaves after one more.

    Each trailing one bit of ``size`` is a full subtree that the new leaf completes to one twice its size.
    """
    stack = list(frontier)
    while size & 1:
        leaf = node_hash(stack.pop(), leaf)
        size >>= 1
    return [*stack, leaf]


def root_of(frontier: Sequence[bytes]) -> bytes:
    """The tree's root from its frontier: RFC 6962 splits at the largest power of two, so fold from the right."""
    if not frontier:
        return EMPTY_ROOT
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = node_hash(left, root)
    return root


def subtrees(leaves: Sequence[bytes]) -> Subtree:
    """Roots of any aligned range over these leaf hashes, each full subtree hashed once (2n hashes in all)."""
    levels: list[list[bytes]] = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def root(first: int, last: int) -> bytes:
        count = last - first
        if count == 0:
            return EMPTY_ROOT
        if count & (count - 1) == 0:  # a power of two, and aligned: RFC 6962 makes no others
            level = count.bit_length() - 1
            return levels[level][first >> level]
        split = first + _split(count)
        return node_hash(root(first, split), root(split, last))

    return root


def inclusion_proof(root: Subtree, index: int, size: int) -> list[bytes]:
    """The audit path of leaf ``index`` in a tree of ``size`` leaves, lowest first (RFC 6962, 2.1.1)."""
    path: list[bytes] = []
    first, last = 0, size
    while last - first > 1:
        split = first + _split(last - first)
        if index < split:
            path.append(root(split, last))
            last = split
        else:
            path.append(root(first, split))
            first = split
    return path[::-1]


def proves_inclusion(proof: Sequence[bytes], leaf: bytes, index: int, size: int, root: bytes) -> bool:
    """Whether the path shows that ``leaf`` (its hash) is number ``index`` of the tree with this size and root.

    RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for node in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(node, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, node)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency_proof(root: Subtree, old: int, size: int) -> list[bytes]:
    """That the first ``old`` leaves of a tree of ``size`` are what they were (RFC 6962, 2.1.2)."""
    if old in (0, size):
        return []
    path: list[bytes] = []
    first, last, wanted, whole = 0, size, old, True
    while wanted != last - first:
        split = _split(last - first)
        if wanted <= split:
            path.append(root(first + split, last))
            last = first + split
        else:
            path.append(root(first, first + split))
            first, wanted, whole = first + split, wanted - split, False
    return [*path, *([] if whole else [root(first, last)])][::-1]


def proves_consistency(proof: Sequence[bytes], old: int, old_root: bytes, size: int, root: bytes) -> bool:
    """Whether the tree of ``size`` leaves with ``root`` begins with the tree of ``old`` leaves. RFC 9162, 2.1.4.2."""
    if not 0 <= old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, node)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)
