"""Streaming encryption of objects: libsodium's secretstream, piece by piece.

The construction is libsodium's own (XChaCha20-Poly1305, chained tags): a reordered, repeated,
removed or cut-off piece does not decrypt. Layout: one format byte, the 24-byte header, then pieces
of `PIECE_BYTES` plain bytes and 17 bytes of overhead; the last piece carries the final tag. Each
piece is bound to the object's id, so one object's bytes never decrypt as another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from models.schema.errors import Tampered

PIECE_BYTES: Final = 1024 * 1024
"""Plain bytes in a piece: the most that the door releases on one check (invariant 4)."""
KEY_BYTES: Final = bindings.crypto_secretstream_xchacha20poly1305_KEYBYTES
_HEADER_BYTES: Final = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_SEALED_PIECE_BYTES: Final = PIECE_BYTES + bindings.crypto_secretstream_xchacha20poly1305_ABYTES
_MESSAGE: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_FORMAT: Final = b"\x01"


def seal(plain: Iterable[bytes], key: bytes, *, object_id: str) -> Iterator[bytes]:
    """Encrypt a stream of byte strings of any sizes; memory is bounded by one piece."""
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    header = bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    yield _FORMAT + header
    bound = object_id.encode()
    pieces = _regrouped(plain, PIECE_BYTES)
    current = next(pieces, b"")
    for following in pieces:
        yield bindings.crypto_secretstream_xchacha20poly1305_push(state, current, bound, _MESSAGE)
        current = following
    yield bindings.crypto_secretstream_xchacha20poly1305_push(state, current, bound, _FINAL)


def unseal(sealed: Iterable[bytes], key: bytes, *, object_id: str) -> Iterator[bytes]:
    """Decrypt what `seal` made, a piece at a time.

    Raises Tampered when any byte, the order or the end is not what was written. Pieces released
    before that are authentic; a reader that needs the whole must read to the end.
    """
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bound = object_id.encode()
    pieces = _regrouped(sealed, _SEALED_PIECE_BYTES, first=1 + _HEADER_BYTES)
    opening = next(pieces, b"")
    if len(opening) != 1 + _HEADER_BYTES or opening[:1] != _FORMAT:
        raise Tampered("The object's bytes do not begin as this house writes them.")
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, opening[1:], key)
    tag = _MESSAGE
    for piece in pieces:
        if tag == _FINAL:
            raise Tampered("The object has bytes behind its end.")
        try:
            plain, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, piece, bound)
        except (CryptoError, ValueError):
            raise Tampered("The object's bytes are not what was written.") from None
        yield plain
    if tag != _FINAL:
        raise Tampered("The object ends too early.")


def _regrouped(stream: Iterable[bytes], size: int, *, first: int | None = None) -> Iterator[bytes]:
    """The same bytes in strings of exactly `size`, but for the first (`first`) and the last."""
    buffer = bytearray()
    wanted = size if first is None else first
    for part in stream:
        buffer += part
        while len(buffer) >= wanted:
            yield bytes(buffer[:wanted])
            del buffer[:wanted]
            wanted = size
    if buffer:
        yield bytes(buffer)
