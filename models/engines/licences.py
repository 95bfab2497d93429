"""Whether an SPDX licence expression is one that the house may use (SPDX 2.3, annex D)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_TOKENS: Final = re.compile(r"[()]|[A-Za-z0-9.+-]+")


def licence_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Whether one may choose only licences of `allowed` and satisfy the expression.

    `AND` needs both sides, `OR` one of them; an exception behind `WITH` only permits more. What is
    no expression is not allowed.
    """
    tokens = _TOKENS.findall(expression)
    if "".join(tokens) != "".join(expression.split()):
        return False
    try:
        result = _either(tokens, allowed)
    except IndexError:
        return False
    return result and not tokens


def _either(tokens: list[str], allowed: Collection[str]) -> bool:
    result = _both(tokens, allowed)
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        result = _both(tokens, allowed) or result
    return result


def _both(tokens: list[str], allowed: Collection[str]) -> bool:
    result = _one(tokens, allowed)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        result = _one(tokens, allowed) and result
    return result


def _one(tokens: list[str], allowed: Collection[str]) -> bool:
    licence = tokens.pop(0)
    if licence == "(":
        result = _either(tokens, allowed)
        return tokens.pop(0) == ")" and result
    if tokens and tokens[0] == "WITH":
        del tokens[0]
        tokens.pop(0)
    return licence in allowed
