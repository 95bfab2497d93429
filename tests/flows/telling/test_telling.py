"""What is told in plain words: pure functions from facts to sentences, in both languages."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report.words import LANGUAGES, Language, Words
from flows.rights.page import page_words
from flows.telling import standing
from flows.telling.accesses import accesses, readings
from flows.telling.acts import act
from flows.telling.costs import cost
from flows.telling.words import telling_words
from models.consent.ages import AgeBand, AgeStatement
from models.consent.decision import Decision
from models.consent.disclosure import Ground
from models.consent.facts import Event, EvidenceLevel, Fact, Uploader
from models.consent.policies import BASELINE, Change, ChangeReason, PolicyVersion
from models.consent.reasons import REASONS, WARNINGS
from models.schema.erasure import ErasureGround
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from storage.access_log import Access
from storage.catalogue.disclosures import Disclosure
from storage.catalogue.freezes import FreezeRow, Scope
from storage.catalogue.holds import Hold
from storage.catalogue.orders import Order, OrderState
from storage.catalogue.people import Subject
from storage.catalogue.requests import Request, RequestKind, RequestState
from storage.catalogue.uploads import UploadState
from storage.records import AGE_STATED, LEGAL_BASIS, LEGAL_BASIS_ENDED
from storage.registers.costs import Amount, Cost
from storage.registers.disclosures import TRANSFER
from storage.registers.minors import MINOR
from storage.registers.reviews import APPROVED, REJECTED
from storage.registers.subject_access import Entry, Held

AT = datetime(2026, 11, 25, 16, 30, tzinfo=UTC)
LATER = AT + timedelta(days=30)
VOICE = Purpose.VOICE_CLONING
DIGEST = "5f" * 32
CHINESE = re.compile("[\u4e00-\u9fff]")
each_language = pytest.mark.parametrize("language", LANGUAGES)

GRANT: dict[str, Any] = {
    "purpose": "voice_cloning",
    "acted_at": AT.isoformat(),
    "source": "explicit",
    "uploader": "self",
    "evidence_level": "document",
    "evidence_digest": DIGEST,
    "policy_version": BASELINE,
}
STORAGE = Path(__file__).resolve().parents[3] / "storage"


def _written_about_people() -> Iterator[str]:
    """Every event that the storage room appends about a person: literals and constants."""
    for file in sorted(STORAGE.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        constants = {
            node.target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append")):
                continue
            told = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if len(node.args) < 2 or told.get("subject_id", "None") == "None":
                continue
            for part in ast.walk(node.args[1]):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
                elif isinstance(part, ast.Name) and part.id in constants:
                    yield str(constants[part.id])


NEVER_AN_ACT = {UploadState.RECEIVING, UploadState.ERASED}
KNOWN = sorted(
    {
        *(event for event in _written_about_people() if not event.endswith("_")),
        *(event.value for event in Event),
        *(f"upload_{state.value}" for state in UploadState if state not in NEVER_AN_ACT),
        *(MINOR, TRANSFER, AGE_STATED, LEGAL_BASIS, LEGAL_BASIS_ENDED, APPROVED, REJECTED),
        *("disclosure", "disclosure_refused"),
    }
)


def _entry(event: str = "grant", **payload: Any) -> Entry:
    return Entry(7, AT, event, {**GRANT, **payload} if event == "grant" else payload)


def _held(**given: Any) -> Held:
    nothing: dict[str, Any] = {
        each.name: () for each in fields(Held) if each.name not in {"subject", "at"}
    }
    return Held(**{"subject": Subject("", None, "local"), "at": AT, **nothing, **given})


def _grant(**given: Any) -> Fact:
    return Fact(
        **{
            "sequence": 7,
            "event": Event.GRANT,
            "purpose": VOICE,
            "acted_at": AT,
            "policy_version": BASELINE,
            **given,
        }
    )


def _allowed(*warnings: str) -> Decision:
    told = tuple(WARNINGS[code] for code in warnings)
    return Decision(purpose=VOICE, allowed=True, basis=7, reasons=(), warnings=told)


# --- acts -------------------------------------------------------------------------------------


def test_a_grant_tells_what_when_under_which_policy_by_whom_and_on_what() -> None:
    assert act(_entry(), telling_words("en")) == (
        "Agreed to voice cloning on 25 November 2026, 16:30 UTC; policy version 2025-11-11; "
        "by the person themselves; on this evidence: a document (SHA-256 5f5f5f5f5f5f5f5f…); "
        "entry 7"
    )
    assert act(_entry(), telling_words("zh")) == (
        "2026 年 11 月 25 日 16:30（UTC）同意用于声音克隆；隐私政策版本 2025-11-11；由本人作出；"
        "依据：书面文件（SHA-256 5f5f5f5f5f5f5f5f…）；第 7 条"
    )


@each_language
def test_each_level_of_evidence_and_each_actor_is_told_apart(language: Language) -> None:
    words = telling_words(language)
    levels = {act(_entry(evidence_level=level.value), words) for level in EvidenceLevel}
    actors = {act(_entry(uploader=actor.value), words) for actor in Uploader}
    assert len(levels) == len(EvidenceLevel)
    assert len(actors) == len(Uploader)


def test_an_act_that_was_recorded_later_is_told_with_both_times() -> None:
    told = act(_entry(acted_at="2026-11-01T08:00:00+00:00"), telling_words("en"))
    assert "on 1 November 2026, 08:00 UTC" in told
    assert "recorded on 25 November 2026" in told


def test_a_consent_for_a_time_says_until_when_and_one_to_a_disclosure_says_so() -> None:
    told = act(
        _entry(expires_at=LATER.isoformat(), recipient="ab" * 16, region="eu"), telling_words("en")
    )
    assert "until 25 December 2026" in told
    assert "only for handing it to one named recipient; in region eu" in told


@each_language
@pytest.mark.parametrize("event", KNOWN)
def test_every_event_that_the_house_writes_has_a_sentence(event: str, language: Language) -> None:
    words = telling_words(language)
    assert f"act.{event}" in words.keys
    assert act(_entry(event), words)


@given(
    event=st.text(min_size=1, max_size=40),
    payload=st.dictionaries(
        st.sampled_from([*GRANT, "band", "turns_18_on", "expires_at", "due_at", "case"]),
        st.none() | st.text(max_size=20) | st.integers() | st.lists(st.integers(), max_size=2),
    ),
    known=st.none() | st.sampled_from(KNOWN),
    language=st.sampled_from(LANGUAGES),
)
def test_nothing_that_a_ledger_could_hold_makes_the_telling_fail(
    event: str, payload: dict[str, Any], known: str | None, language: Language
) -> None:
    entry = Entry(7, AT, known or event, payload)
    assert act(entry, telling_words(language))


# --- what stands ------------------------------------------------------------------------------


def test_a_refused_purpose_says_every_reason_and_every_act() -> None:
    decision = Decision(
        purpose=VOICE,
        allowed=False,
        basis=None,
        reasons=(REASONS["withdrawn"], REASONS["frozen"]),
    )
    withdrawal = Entry(8, AT, "withdrawal", {"purpose": "voice_cloning"})
    other = Entry(9, AT, "grant", {**GRANT, "purpose": "digital_human"})
    held = _held(
        facts=[_grant(), _grant(sequence=8, event=Event.WITHDRAWAL)],
        entries=[_entry(), withdrawal, other],
    )
    told = standing.told(held, decision, telling_words("en"))
    assert told[0] == "Voice cloning: Not allowed."
    assert told[1].strip() == REASONS["withdrawn"].english
    assert told[2].strip() == REASONS["frozen"].english
    assert "Agreed to voice cloning" in told[3]
    assert "Withdrew consent to voice cloning" in told[4]
    assert len(told) == 5, "what was agreed to for another purpose is told there"


@pytest.mark.parametrize(
    ("code", "given", "day"),
    [
        (
            "policy_change_ahead",
            {
                "policies": [
                    PolicyVersion(
                        sequence=9,
                        version="3",
                        published_at=AT,
                        effective_at=LATER,
                        changes=(Change(reason=ChangeReason.SERVICE, purposes=frozenset({VOICE})),),
                    )
                ]
            },
            "Version 3 takes effect on 25 December 2026.",
        ),
        ("consent_expires", {"facts": [_grant(expires_at=LATER)]}, "25 December 2026, 16:30 UTC"),
        (
            "turns_18_ahead",
            {
                "ages": [
                    AgeStatement(sequence=1, band=AgeBand.UNDER_18, turns_18_on=date(2027, 3, 1))
                ]
            },
            "1 March 2027",
        ),
    ],
)
def test_a_warning_names_the_day(code: str, given: dict[str, Any], day: str) -> None:
    held = _held(**{"facts": [_grant()], **given})
    (told,) = standing.warnings(held, _allowed(code), telling_words("en"))
    assert WARNINGS[code].english in told
    assert day in told


@each_language
def test_every_warning_is_told_even_where_its_day_is_not_known(language: Language) -> None:
    told = standing.warnings(_held(), _allowed(*WARNINGS), telling_words(language))
    assert len(told) == len(WARNINGS)


def _freeze(**given: Any) -> FreezeRow:
    return FreezeRow(
        **{
            "id": "",
            "scope": Scope.SUBJECT,
            "scope_id": "",
            "purpose": VOICE,
            "cause": "withdrawal",
            "ledger_sequence": 8,
            "created_at": AT,
            **given,
        }
    )


def test_only_stops_in_force_are_told() -> None:
    held = _held(freezes=[_freeze(), _freeze(lifted_at=AT), _freeze(purpose=None, cause="comet")])
    assert standing.freezes(held, telling_words("en")) == [
        "Use for voice cloning is stopped since 25 November 2026, 16:30 UTC: "
        "consent was withdrawn.",
        "All use is stopped since 25 November 2026, 16:30 UTC: 'comet' is on record.",
    ]


def _order(**given: Any) -> Order:
    return Order(
        **{
            "id": "0rder",
            "scope": Scope.SUBJECT,
            "scope_id": "",
            "purpose": VOICE,
            "ground": ErasureGround.CONSENT_WITHDRAWN,
            "state": OrderState.PENDING,
            "ledger_sequence": 8,
            "created_at": AT,
            "due_at": LATER,
            **given,
        }
    )


def test_an_order_is_told_with_its_deadline_and_what_it_waits_for() -> None:
    told = standing.orders(
        _held(orders=[_order(), _order(purpose=None, starts_at=AT + timedelta(days=15))]),
        telling_words("en"),
    )
    assert told == [
        "What was kept for voice cloning alone is to be erased by 25 December 2026. Order 0rder.",
        "Everything is to be erased by 25 December 2026. Not before 10 December 2026: until then "
        "what is missing may still be brought. Order 0rder.",
    ]


@each_language
def test_an_order_that_a_hold_stops_says_the_case_and_where_to_complain(
    language: Language,
) -> None:
    words = telling_words(language)
    hold = Hold("h", Scope.SUBJECT, "", "d", "0" * 64, 9, AT, LATER)
    told = standing.orders(_held(orders=[_order()], holds=[hold]), words)
    assert len(told) == 2
    assert " d" in told[1]
    over = standing.orders(_held(orders=[_order(state=OrderState.DONE)], holds=[hold]), words)
    assert len(over) == 1


@each_language
def test_an_order_that_is_over_is_not_told_as_owed(language: Language) -> None:
    words = telling_words(language)
    owed = standing.orders(_held(orders=[_order()]), words)
    for state in (OrderState.CANCELLED, OrderState.DONE):
        told = standing.orders(_held(orders=[_order(state=state)]), words)
        assert len(told) == 1
        assert told != owed


@each_language
def test_a_disclosure_names_whom_what_when_and_why(language: Language) -> None:
    words = telling_words(language)
    disclosure = Disclosure(
        id="",
        subject_id="",
        recipient_id="",
        basis=Ground.CONSENT,
        purpose=VOICE,
        kinds=frozenset({"report", "voice_segment"}),
        document_digest=None,
        ledger_sequence=9,
        created_at=AT,
    )
    sentences = set()
    for ground in Ground:
        row = replace(disclosure, basis=ground)
        (told,) = standing.disclosures(_held(disclosures=[("Cloud Ltd", row)]), words)
        for part in ("Cloud Ltd", words.named("held", "report"), words.moment(AT)):
            assert part in told
        sentences.add(told)
    assert len(sentences) == len(Ground)


def test_a_request_is_told_by_its_deadline_until_it_is_answered() -> None:
    request = Request("", "", RequestKind.ACCESS, RequestState.OPEN, b"", 9, AT, LATER)
    answered = replace(request, state=RequestState.ANSWERED, answered_at=AT + timedelta(hours=1))
    told = standing.requests(_held(requests=[request, answered]), telling_words("en"))
    assert "is due by 25 December 2026" in told[0]
    assert "was answered on 25 November 2026, 17:30 UTC" in told[1]


# --- accesses ---------------------------------------------------------------------------------


def _access(**given: Any) -> Access:
    return Access(
        **{
            "at": AT,
            "object_id": "",
            "kind": "original",
            "role": "ingest",
            "operation": "process",
            "purposes": ("voice_cloning",),
            "reference": "",
            **given,
        }
    )


def test_what_was_read_is_grouped_by_day_reader_and_reason() -> None:
    log = [
        _access(),
        _access(kind="voice_profile"),
        _access(kind="voice_profile"),
        _access(at=AT + timedelta(days=1)),
        _access(role="person", operation="access", purposes=()),
    ]
    assert accesses(log, telling_words("en")) == [
        "Read 3 times for voice cloning, by ingest, on 25 November 2026: "
        "1 × recording, 2 × voice profile.",
        "Read once for voice cloning, by ingest, on 26 November 2026: 1 × recording.",
        "Read once for the person themselves on 25 November 2026: 1 × recording.",
    ]


logs = st.lists(
    st.builds(
        _access,
        at=st.datetimes(timezones=st.just(UTC)),
        kind=st.sampled_from([*KINDS, "a new kind"]),
        role=st.sampled_from(["ingest", "training", "review", "person", "a new role"]),
        operation=st.sampled_from(["process", "identify", "access", "inspect", "something new"]),
        count=st.none() | st.integers(1, 9),
    )
)


@given(log=logs, language=st.sampled_from(LANGUAGES))
def test_no_access_is_left_out_of_the_groups(log: list[Access], language: Language) -> None:
    assert sum(reading.count for reading in readings(log)) == sum(a.count or 1 for a in log)
    assert len(accesses(log, telling_words(language))) == len(readings(log))


# --- costs ------------------------------------------------------------------------------------

COST = Cost(
    purposes=frozenset({VOICE}),
    granted=frozenset({VOICE}),
    runs=2,
    deleted=[Amount("voice_segment", 12, 3 * 1024**2)],
    deleted_uploads=1,
    narrowed=[Amount("report", 1, 100)],
    narrowed_uploads=1,
    kept_for=frozenset({Purpose.DIGITAL_HUMAN}),
    due_at=LATER,
)


def test_a_cost_says_what_stops_what_goes_when_and_what_stays_for_what() -> None:
    assert cost("withdraw", COST, telling_words("en")) == [
        "Withdrawing voice cloning:",
        "Stops at once: 2 running.",
        "Erased by 25 December 2026: 12 × utterance (3.0 MiB).",
        "Uploads that go with them: 1.",
        "Stays, for a digital human only: 1 × report (100 B).",
    ]
    assert all(CHINESE.search(line) for line in cost("refuse", COST, telling_words("zh")))


@each_language
def test_a_purpose_that_was_never_granted_costs_no_erasure(language: Language) -> None:
    never = replace(COST, granted=frozenset(), deleted=[], deleted_uploads=0, due_at=None)
    words = telling_words(language)
    assert cost("refuse", never, words)[-1] == words.say(
        "cost.never", purposes=words.named("purpose_in_sentence", "voice_cloning")
    )


# --- the words --------------------------------------------------------------------------------

BOTH: tuple[Callable[[Language], Words], ...] = (telling_words, page_words)


def _texts(words: Words) -> dict[str, str]:
    return {key: words.named(*key.split(".", 1)) for key in words.keys}


@pytest.mark.parametrize("words", BOTH)
def test_both_languages_say_the_same_things_with_the_same_values(
    words: Callable[[Language], Words],
) -> None:
    def values(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    english, chinese = _texts(words("en")), _texts(words("zh"))
    assert {key: values(text) for key, text in english.items()} == {
        key: values(text) for key, text in chinese.items()
    }


@pytest.mark.parametrize("words", BOTH)
def test_no_english_sentence_was_left_in_the_chinese_words(
    words: Callable[[Language], Words],
) -> None:
    assert [
        key
        for key, text in _texts(words("zh")).items()
        if len(text.split()) > 2 and not CHINESE.search(text) and not key.startswith("date.")
    ] == []


@each_language
def test_every_kind_state_and_level_has_a_word(language: Language) -> None:
    keys = telling_words(language).keys
    assert {f"held.{kind}" for kind in KINDS} | {f"held_about.{kind}" for kind in KINDS} <= keys
    assert {f"upload_state.{state.value}" for state in UploadState} <= keys
    assert {f"evidence.{level.value}" for level in EvidenceLevel} <= keys
    assert {f"who.{uploader.value}" for uploader in Uploader} <= keys
    assert {f"disclosure.{ground.value}" for ground in Ground} <= keys
