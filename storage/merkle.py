"""Merkle tree heads as Certificate Transparency has them (RFC 6962, 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def root_of(leaves: Sequence[bytes]) -> str:
    """The root over leaves in order, hexadecimal; of no leaves, SHA-256 of nothing.

    Leaves and nodes are hashed under different prefixes, so that neither can pose as the other.
    """
    if not leaves:
        return sha256(b"").hexdigest()
    level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        # A last node without a neighbour rises as it is, which gives RFC 6962's uneven trees.
        paired = [
            sha256(b"\x01" + level[at] + level[at + 1]).digest()
            for at in range(0, len(level) - 1, 2)
        ]
        level = paired + level[len(paired) * 2 :]
    return level[0].hex()
