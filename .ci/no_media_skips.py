"""A pytest plugin for .ci/run: where the recordings are present, no test on them may be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

_FOLDER = Path(
    os.environ.get("LIKENESS_MEDIA")
    or Path(__file__).resolve().parent.parent.parent / "shared" / "media"
)
_PRESENT = (_FOLDER / "MANIFEST.tsv").is_file()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn such a skip into a failure."""
    report = yield
    on_recordings = item.get_closest_marker("media") is not None
    if _PRESENT and on_recordings and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although the recordings are here: {report.longrepr}"
    return report
