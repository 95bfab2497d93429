"""The page in a real browser: no error, no request, nothing wider than a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.receipts.page import page
from flows.report.words import LANGUAGES, Language
from models.schema.kinds import KINDS
from tests.flows.report.test_browser import Browser, browser  # noqa: F401 (fixture)
from tests.models.receipts.conftest import SALT, removed, signed

pytestmark = pytest.mark.services


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_loads_without_error_or_request_and_fits_the_screen(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
    language: Language,
    width: int,
) -> None:
    made = signed(removed=tuple(each for kind in KINDS for each in removed(2, kind)))
    file = tmp_path / "receipt.html"
    file.write_text(
        page(made.model_copy(update={"salt": SALT.hex()}), language).replace(
            "<details>", "<details open>"
        ),
        encoding="utf-8",
    )
    measured = browser.open(file, width)
    errors = browser.named("Runtime.exceptionThrown") + [
        entry for entry in browser.named("Log.entryAdded") if entry["entry"]["level"] != "info"
    ]
    assert errors == []
    requested = {sent["request"]["url"] for sent in browser.named("Network.requestWillBeSent")}
    assert {url for url in requested if not url.startswith("data:")} == {file.as_uri()}
    assert measured["wide"] <= width
