"""The spoken statement from challenge to consent, with sentences read by an offline reader."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.settings import Settings
from flows.statement import Verified, challenge, verify
from models.consent.statement import sentence_of
from models.schema.errors import BadInput
from models.schema.kinds import Role
from models.schema.purposes import Purpose
from models.schema.tensors import unpacked
from storage.assembly import Storage
from storage.handles import Operation, Use
from storage.registers.statements import Issued

Read = Callable[..., Path]
CLONING = Purpose.VOICE_CLONING
DRAWN = (
    ("potato", "satellite", "bicycle", "umbrella", "chocolate", "elephant"),
    ("notebook", "pyramid", "broccoli", "volcano", "trumpet", "school"),
)
"""Words that the reader says well: its own slips must not decide the tests."""


@pytest.fixture
def read_aloud(tmp_path: Path) -> Read:
    """Reads a text into a wav file."""
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")

    def read(text: str, *, voice: str = "slt") -> Path:
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(out)], check=True)
        return out

    return read


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty home."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def storage(settings: Settings) -> Storage:
    """The room of that home."""
    return Storage.open(settings.storage)


@pytest.fixture
def ask(
    storage: Storage, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Issued]:
    """Issues challenges whose words were drawn beforehand."""
    draws: Iterator[tuple[str, ...]] = iter(DRAWN)
    monkeypatch.setattr(
        "storage.registers.statements.new_sentence",
        lambda purpose, language, of: sentence_of(purpose, language, of, next(draws)),
    )
    return lambda *, link=False: challenge(storage, "s-1", CLONING, "en", settings, link=link)


@pytest.fixture
def answer(storage: Storage, settings: Settings) -> Callable[[Issued, Path], Verified]:
    """Answers a challenge as its person."""
    return lambda issued, recording: verify(
        storage, recording, settings, subject="s-1", challenge_id=issued.challenge.id
    )


def _codes(verified: Verified) -> list[str]:
    assert not verified.accepted
    return [reason.code for reason in verified.reasons]


def _allowed(storage: Storage) -> bool:
    return any(d.allowed for d in storage.consents.decisions("s-1") if d.purpose is CLONING)


@pytest.mark.weights
def test_consent_is_said_once_by_its_own_voice_and_by_nobody_else(
    storage: Storage,
    settings: Settings,
    ask: Callable[..., Issued],
    answer: Callable[[Issued, Path], Verified],
    read_aloud: Read,
) -> None:
    first, second = ask(), ask(link=True)
    recording = read_aloud(first.challenge.sentence.text)

    # Another challenge's recording by the right person.
    assert "words_missing" in _codes(answer(second, recording))
    assert not _allowed(storage)
    assert [file for file in (settings.home / "objects").rglob("*") if file.is_file()] == []

    accepted = answer(first, recording)
    assert accepted.accepted
    assert accepted.voice == "nothing_to_compare_with"
    assert _allowed(storage)

    # The same challenge again, and the same recording for another one.
    with pytest.raises(BadInput) as used:
        answer(first, recording)
    assert used.value.reason == "challenge_used"
    assert _codes(answer(second, recording)) == ["recording_used_before"]

    # Right words by the wrong person; then by the right one, who holds the link alone.
    stranger = read_aloud(second.challenge.sentence.text, voice="rms")
    assert _codes(answer(second, stranger)) == ["other_voice"]
    own = read_aloud(second.challenge.sentence.text)
    by_link = verify(storage, own, settings, token=second.token)
    assert by_link.accepted
    assert by_link.voice == "compared"
    assert by_link.attempts_left == 1

    # The evidence is the recording itself, and the voice that later uploads are compared with.
    assert by_link.upload is not None
    kept = {row.kind: row.id for row in storage.uploads.objects_of(by_link.upload)}
    with storage.door.open(
        kept["spoken_statement"], Use(Role.PERSON, Operation.ACCESS, frozenset(), "0" * 32)
    ) as reader:
        assert reader.read() == own.read_bytes()
    with storage.door.open(
        kept["voice_profile"], Use(Role.INGEST, Operation.PROCESS, frozenset({CLONING}), "0" * 32)
    ) as reader:
        tensors, record = unpacked(reader.read())
    assert tensors["embedding"].shape == (256,)
    assert record["backend"]["name"] == "resemblyzer"


@pytest.mark.weights
def test_where_nobody_speaks_nothing_is_accepted(
    ask: Callable[..., Issued], answer: Callable[[Issued, Path], Verified], tmp_path: Path
) -> None:
    issued = ask()
    chord = "0.2*sin(2*PI*262*t)+0.2*sin(2*PI*330*t)+0.1*sin(2*PI*392*t)"
    for number, source in enumerate(("anullsrc=r=16000:cl=mono:d=6", f"aevalsrc='{chord}':d=6")):
        file = tmp_path / f"quiet-{number}.wav"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, file], check=True)
        assert _codes(answer(issued, file)) == ["no_speech"]


def test_a_recording_that_cannot_be_used_is_told_and_costs_no_attempt(
    ask: Callable[..., Issued],
    answer: Callable[[Issued, Path], Verified],
    settings: Settings,
    tmp_path: Path,
) -> None:
    issued = ask()
    long, text, large = (tmp_path / name for name in ("long.wav", "text.wav", "large.wav"))
    source = "anullsrc=r=8000:cl=mono:d=120"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, long], check=True)
    text.write_text("no recording")
    with large.open("wb") as file:
        file.truncate(settings.statement.size_bytes + 1)
    for unusable, code in (
        (tmp_path / "none.wav", "not_found"),
        (tmp_path, "bad_input"),
        (text, "unsupported_media"),
        (long, "too_long"),
        (large, "limit_exceeded"),
    ):
        for _ in range(settings.statement.attempts_most):
            with pytest.raises(BadInput) as told:
                answer(issued, unusable)
            assert told.value.reason == code
            assert str(tmp_path) not in str(told.value)


@pytest.mark.weights
def test_the_commands_answer_as_the_contract_has_it(house: Any, tmp_path: Path) -> None:
    asked = house.run(
        *("consent", "challenge", "--subject", "s-1", "--purpose", "voice_cloning"),
        *("--language", "zh", "--link"),
    )
    assert asked.code == 0, asked.err
    assert {"challenge", "sentence", "expires", "token"} <= set(asked.fields)
    assert asked.fields["sentence"].startswith("我同意")
    silence = tmp_path / "silence.wav"
    source = "anullsrc=r=16000:cl=mono:d=4"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, silence], check=True)
    said = house.run(
        *("consent", "verify", "--token", asked.fields["token"], "--recording", str(silence))
    )
    assert (said.code, said.fields["accepted"]) == (3, False), said.out
    assert [set(reason) for reason in said.fields["reasons"]] == [{"code", "english", "chinese"}]
    assert said.fields["error"]["code"] == "statement_not_accepted"
    assert "s-1" not in said.out


@pytest.mark.parametrize(
    "wrong", [("--purpose", "singing"), ("--purpose", "voice_cloning", "--language", "fr")]
)
def test_a_challenge_for_an_unknown_purpose_or_language_is_bad_usage(
    house: Any, wrong: tuple[str, ...]
) -> None:
    said = house.run("consent", "challenge", "--subject", "s-1", *wrong)
    assert (said.code, said.fields["error"]["code"]) == (2, "bad_usage")
