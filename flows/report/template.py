"""How a page of ours is made: its template, its style, and what no page may hold."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

_UNREADABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that HTML forbids or UTF-8 cannot hold; a transcript can contain anything."""


def environment(folder: Path, *, autoescape: bool = True) -> jinja2.Environment:
    """Templates of one folder; what they print is escaped, and nothing undefined passes."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=autoescape,  # noqa: S701 (off for plain text alone)
        undefined=jinja2.StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def readable(value: object) -> object:
    """What a template prints, without the characters that no page may hold."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNREADABLE.sub("\ufffd", value)
    return value


@cache
def style() -> Markup:
    """The style that every page of ours shares."""
    file = Path(__file__).parent / "style.css"
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 (our own file)
