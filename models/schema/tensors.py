"""Tensors as bytes: safetensors, never pickle.

Metadata is one JSON value in the format's own string map, so that an object carries what it is:
the utterance and its transcript, the backends, the parameters (invariant 12).
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.schema.errors import Tampered
from models.schema.voice import Tensors

_RECORD: Final = "record"


def packed(tensors: Tensors, record: dict[str, Any]) -> bytes:
    """One safetensors file with a JSON record in its metadata."""
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    metadata = {_RECORD: json.dumps(record, ensure_ascii=False, allow_nan=False)}
    return bytes(save(contiguous, metadata=metadata))


def unpacked(content: bytes) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the record of a file that `packed` made; raises Tampered for any other."""
    try:
        header_bytes = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + header_bytes])
        record = json.loads(header["__metadata__"][_RECORD])
        return load(content), record
    except (KeyError, ValueError, TypeError, SafetensorError) as error:
        raise Tampered(f"A feature object is not readable ({type(error).__name__}).") from None
