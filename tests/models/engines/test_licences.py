"""Licence expressions are read as SPDX means them, and what is none is not allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.licences import licence_allowed

ALLOWED = {"MIT", "Apache-2.0"}


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND Apache-2.0", True),
        ("MIT AND CC-BY-NC-4.0", False),
        ("CC-BY-NC-4.0 OR MIT", True),
        ("MIT OR GPL-3.0-only AND CC-BY-NC-4.0", True),
        ("(MIT OR GPL-3.0-only) AND CC-BY-NC-4.0", False),
        ("MIT AND (GPL-3.0-only OR Apache-2.0)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH Classpath-exception-2.0", False),
        ("", False),
        ("MIT MIT", False),
        ("MIT AND", False),
        ("(MIT", False),
        ("MIT)", False),
        ("AND", False),
        ("mit", False),
        ("MIT, or ask us", False),
        ("proprietary", False),
    ],
)
def test_expressions(expression: str, allowed: bool) -> None:
    assert licence_allowed(expression, ALLOWED) is allowed


@given(st.text(alphabet="MITANDOR() x", max_size=30))
def test_any_text_is_answered(expression: str) -> None:
    assert licence_allowed(expression, ALLOWED) in {True, False}
