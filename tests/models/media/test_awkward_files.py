"""Every awkward file of the shared recordings gives what its manifest says."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest

from models.schema.errors import BadInput, UnsupportedMedia
from tests.models.media.conftest import decode_all

_STILL_IMAGES = (".jpg", ".png")


def _rows() -> list[dict[str, str]]:
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("LIKENESS_MEDIA") or root.parent / "shared" / "media")
    manifest = folder / "MANIFEST.tsv"
    if not manifest.is_file():
        return []
    with manifest.open(encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines, delimiter="\t") if row["kind"] == "awkward"]


@pytest.mark.media
@pytest.mark.parametrize("row", _rows(), ids=lambda row: Path(row["path"]).name)
def test_an_awkward_file_decodes_as_its_manifest_says_or_is_refused_clearly(
    row: dict[str, str], media: Path
) -> None:
    path = media / row["path"]
    expected = row["expected"]
    is_image = path.suffix in _STILL_IMAGES and "wav" not in expected
    may_decode = "decodes" in expected and not is_image
    may_fail = "clear error" in expected or is_image
    try:
        decoded = decode_all(path)
    except BadInput as refusal:
        assert may_fail, refusal
        assert path.name not in refusal.message
        assert is_image <= isinstance(refusal, UnsupportedMedia)
        return
    assert may_decode
    assert decoded.order == sorted(decoded.order)
    assert decoded.summary.frames == len(decoded.frames)
    frames = re.search(r"v:(\d+)", expected)
    if frames:
        assert len(decoded.frames) == int(frames.group(1))
    samples = re.search(r"a:(\d+)", expected)
    if samples:
        spoken = decoded.samples - round(
            decoded.summary.silence_filled_seconds * decoded.pieces[0].sample_rate_hz
        )
        assert spoken == pytest.approx(int(samples.group(1)), rel=0.01)


@pytest.mark.media
def test_a_bogus_claim_of_length_is_not_believed(media: Path) -> None:
    decoded = decode_all(media / "awkward" / "sample_fragmented.mp4")
    assert decoded.facts.claimed_seconds is not None
    assert decoded.facts.claimed_seconds > 100_000
    assert decoded.summary.picture_seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.media
def test_a_truncated_recording_says_that_it_is_damaged(media: Path) -> None:
    assert decode_all(media / "awkward" / "talkhead_trunc60_faststart_a.mp4").summary.damaged
    assert not decode_all(media / "awkward" / "talkhead_faststart_a.mp4").summary.damaged


@pytest.mark.media
def test_the_default_of_several_sound_tracks_is_used_and_their_number_told(media: Path) -> None:
    facts = decode_all(media / "awkward" / "nasa_13013.mp4").facts
    assert facts.sound is not None
    assert facts.picture is not None
    assert facts.sound.tracks == 2
    assert facts.picture.tracks == 2


@pytest.mark.media
@pytest.mark.parametrize(
    "name",
    [
        *("videos/talk_vr3.mp4", "videos/hamilton_multi_shot.mp4", "videos/expr_lp_d19.mp4"),
        *("voices/ls1688/1688-142285-0000.flac", "voices/ls1688/1688-142285-0001.flac"),
    ],
)
def test_a_sound_recording_decodes_whole_and_undamaged(name: str, media: Path) -> None:
    decoded = decode_all(media / name, longest_side_pixels=160)
    summary = decoded.summary
    assert decoded.facts.claimed_seconds is not None
    end = max(
        summary.sound_start_seconds + summary.sound_seconds,
        summary.picture_start_seconds + summary.picture_seconds,
    )
    assert end == pytest.approx(decoded.facts.claimed_seconds, abs=0.05)
    assert not summary.damaged
    assert summary.silence_filled_seconds == 0.0
    assert decoded.order == sorted(decoded.order)
