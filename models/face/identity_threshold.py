"""The distance of two identities, and from where on they are two people."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def identity_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Euclidean distance of two embeddings, float32 (D,), of one backend."""
    return float(np.linalg.norm(a.astype(np.float64) - b.astype(np.float64)))


@dataclass(frozen=True)
class IdentityThreshold:
    """An operating point and where it was measured (`thresholds.toml`)."""

    distance: float
    equal_error_rate: float
    same_person_pairs: int
    same_person_refused: int
    different_person_pairs: int
    different_people_accepted: int


@cache
def threshold_of(backend: str) -> IdentityThreshold:
    """The measured threshold of an identity backend, by its name; KeyError for an unknown one."""
    path = Path(__file__).with_name("thresholds.toml")
    entry = tomllib.loads(path.read_text(encoding="utf-8"))["identity"][backend]
    return IdentityThreshold(**entry)
