"""Loudness from the summary that ffmpeg's ebur128 filter prints at its end."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from models.schema.media import Loudness

SUMMARY_START = re.compile(r"^\[Parsed_ebur128_\d+ @ 0x[0-9a-f]+\] \[info\] Summary:")
"""How the filter's block begins on stderr; a tag of the file cannot stand at a line's start."""
_ABSOLUTE_GATE_LUFS = -70.0
"""ITU-R BS.1770-4: what is quieter is silence."""


def parse_loudness(block: Sequence[str]) -> Loudness | None:
    """Integrated loudness, range and true peak of one summary block; None where there is none."""
    text = "\n".join(block)
    integrated = _value(text, r"\bI:\s*(\S+) LUFS")
    span = _value(text, r"\bLRA:\s*(\S+) LU\b")
    if integrated is None or span is None:
        return None
    peak = _value(text, r"\bPeak:\s*(\S+) dBFS")
    return Loudness(
        integrated_lufs=integrated if integrated > _ABSOLUTE_GATE_LUFS else None,
        range_lu=span,
        true_peak_dbfs=peak,
    )


def _value(text: str, pattern: str) -> float | None:
    found = re.search(pattern, text)
    if found is None:
        return None
    try:
        value = float(found.group(1))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
