"""The cheap looks at what an engine wrote: each form is told from everything else."""

from __future__ import annotations

import struct
import subprocess
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.engines.contract import File, FileRole, MediaType
from models.engines.given_back import check_file
from models.schema.errors import EngineFailed

_FORMS = {
    MediaType.SAFETENSORS: FileRole.WEIGHTS,
    MediaType.WAV: FileRole.OUTPUT,
    MediaType.MP4: FileRole.OUTPUT,
    MediaType.PNG: FileRole.PLOT,
}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))


def _picture(width: int = 1, height: int = 1) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * (1 + 1))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", data)
        + _chunk(b"IEND", b"")
    )


def _sound(folder: Path, channels: int = 1, width: int = 2) -> bytes:
    path = folder / "made.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((channels, width, 8_000, 0, "NONE", ""))
        sound.writeframes(bytes(800))
    return path.read_bytes()


def _film(folder: Path, *options: str) -> bytes:
    path = folder / "made.mp4"
    source = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=0.2")
    command = ("ffmpeg", "-v", "error", "-y", *source, *options, str(path))
    subprocess.run(command, check=True)
    return path.read_bytes()


def _tensors(folder: Path) -> bytes:
    save_file({"a": np.arange(6.0)}, folder / "made")
    return (folder / "made").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[MediaType, bytes]:
    folder = tmp_path_factory.mktemp("made")
    return {
        MediaType.SAFETENSORS: _tensors(folder),
        MediaType.WAV: _sound(folder),
        MediaType.MP4: _film(folder),
        MediaType.PNG: _picture(),
    }


def _opens(folder: Path, content: bytes, form: MediaType) -> bool:
    (folder / "file").write_bytes(content)
    file = File(name="file", role=_FORMS[form], media_type=form)
    try:
        check_file(folder, file, most_bytes=1 << 30)
    except EngineFailed:
        return False
    return True


def test_each_form_opens_as_itself_and_as_no_other(
    tmp_path: Path, whole: dict[MediaType, bytes]
) -> None:
    opening = {
        (form, claimed)
        for form, content in whole.items()
        for claimed in MediaType
        if _opens(tmp_path, content, claimed)
    }
    assert opening == {(form, form) for form in MediaType}


@pytest.mark.parametrize("form", [MediaType.SAFETENSORS, MediaType.WAV, MediaType.PNG])
def test_one_that_is_cut_anywhere_does_not_open(
    tmp_path: Path, whole: dict[MediaType, bytes], form: MediaType
) -> None:
    content = whole[form]
    lengths = {*range(0, len(content), 7), len(content) - 1}
    assert [length for length in lengths if _opens(tmp_path, content[:length], form)] == []


def test_a_film_without_its_index_or_its_picture_does_not_open(
    tmp_path: Path, whole: dict[MediaType, bytes]
) -> None:
    content = whole[MediaType.MP4]
    assert not _opens(tmp_path, content[: content.index(b"moov")], MediaType.MP4)
    sound_alone = ("-f", "lavfi", "-i", "sine=duration=0.2", "-map", "1:a")
    assert not _opens(tmp_path, _film(tmp_path, *sound_alone), MediaType.MP4)


@given(content=st.binary(max_size=200), form=st.sampled_from(list(MediaType)[:2]))
def test_noise_is_no_tensors_and_no_sound(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, form: MediaType
) -> None:
    assert not _opens(tmp_path_factory.getbasetemp(), content, form)


def test_stereo_and_other_widths_are_not_the_sound_that_is_agreed(tmp_path: Path) -> None:
    assert not _opens(tmp_path, _sound(tmp_path, channels=2), MediaType.WAV)
    assert not _opens(tmp_path, _sound(tmp_path, width=1), MediaType.WAV)


def test_a_picture_of_absurd_size_or_with_a_wrong_sum_does_not_open(tmp_path: Path) -> None:
    assert _opens(tmp_path, _picture(4_000, 3_000), MediaType.PNG)
    assert not _opens(tmp_path, _picture(100_000, 100_000), MediaType.PNG)
    assert not _opens(tmp_path, _picture(0, 1), MediaType.PNG)
    content = bytearray(_picture())
    content[-5] ^= 1
    assert not _opens(tmp_path, bytes(content), MediaType.PNG)
    assert not _opens(tmp_path, _picture() + b"more", MediaType.PNG)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_looking_leaves_no_file_open(tmp_path: Path, whole: dict[MediaType, bytes]) -> None:
    before = _open_files()
    for form, content in whole.items():
        _opens(tmp_path, content, form)
        _opens(tmp_path, content[:-1], form)
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    with pytest.raises(EngineFailed, match="plain"):
        check_file(
            tmp_path,
            File(name="file", role=FileRole.PLOT, media_type=MediaType.PNG),
            most_bytes=1,
        )
    assert _open_files() == before
