"""The receipt's page: what was signed, for people, in both languages, and nothing else."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.receipts.page import LISTED_MOST, page
from flows.report.words import LANGUAGES, Language
from models.schema.erasure import ErasureGround, Requester, Step
from models.schema.kinds import KINDS
from models.schema.purposes import Purpose
from models.schema.receipt import Informed, Kept, KeptReason, KeptThing, SignedReceipt
from tests.models.receipts.conftest import (
    ORDERED,
    SALT,
    removed,
    signed,
    signed_receipts,
    steps,
)

FORBIDDEN = {"script", "iframe", "object", "embed", "form", "img", "base", "video", "audio"}
VOID = {"meta", "link", "br"}


class _Seen(HTMLParser):
    """The elements of a page, whether they close in order, and its visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def seen(html: str) -> _Seen:
    """The page as a parser sees it."""
    parser = _Seen()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_tells_in_both_languages_the_chosen_one_first(ordinary: SignedReceipt) -> None:
    for first, other in (("en", "zh"), ("zh", "en")):
        html = page(ordinary, first)  # type: ignore[arg-type]
        articles = [a["id"] for tag, a in seen(html).tags if tag == "article"]
        assert articles == [first, other]
        assert "It was asked for." in html
        assert "应请求删除。" in html


@pytest.mark.parametrize(
    ("changes", "english", "chinese"),
    [
        ({"scope": "account"}, "Everything of one account", "一个账户及其中所有人的全部数据"),
        (
            {"purpose": Purpose.VOICE_CLONING},
            "whatever was kept for voice cloning alone",
            "仅为声音克隆保留的部分",
        ),
        ({"ground": ErasureGround.SERVICE_ENDED}, "The service has ended.", "服务已经终止。"),
        ({"requester": Requester.GUARDIAN}, "a guardian", "监护人"),
        ({"removed": removed(1234)}, "1,234", "1,234"),
        ({"removed": ()}, "There was no object to remove.", "没有需要删除的对象。"),
        ({"narrowed": 7}, "7 more objects lost this purpose", "另有 7 个对象不再用于此用途"),
        (
            {"due_at": ORDERED},
            "26 November 2026, 09:30 UTC, later than was due",
            "2026 年 11 月 26 日 09:30（UTC），晚于期限",
        ),
        ({}, "26 November 2026, 09:30:07 UTC", "2026 年 11 月 26 日 09:30:07（UTC）"),
        ({}, "had been handed something 2 times, and was still to be told", "尚待通知其删除"),
        (
            {"informed": (Informed(recipient="a" * 32, disclosures=1, told_at=ORDERED),)},
            "once, and was told on 26 November 2026, 09:30 UTC to delete it",
            "（1 次），已于 2026 年 11 月 26 日 09:30（UTC）被通知删除",
        ),
        ({"informed": ()}, "was ever handed to anybody else", "从未提供给他人"),
        (
            {"unreadable_from": date(2027, 1, 2)},
            "From 2 January 2027 on no backup can hold a key",
            "自 2027 年 1 月 2 日起，任何备份中都不可能有",
        ),
        ({"reference": None}, "so it refers to nobody", "不指向任何人"),
        (
            {"steps": {s: at for s, at in steps().items() if s is not Step.SIGNED}},
            "not stated",
            "未载明",
        ),
    ],
)
def test_it_says_what_the_receipt_says(changes: dict[str, Any], english: str, chinese: str) -> None:
    text = seen(page(signed(**changes), "en")).text
    assert english in text
    assert chinese in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_everything_kept_and_every_step_is_told_in_words(language: Language) -> None:
    objects = tuple(
        removed(1, kind)[0].model_copy(update={"object": f"{at:032x}"})
        for at, kind in enumerate(KINDS)
    )
    kept = tuple(Kept(what=what, why=why, until=None) for what in KeptThing for why in KeptReason)
    html = page(signed(removed=objects, kept=kept, removed_rows={}), language)
    told = html.split("<article")[1] + html.split("<article")[2].split('<section id="digests">')[0]
    codes = {code for code in (*KINDS, *KeptThing, *KeptReason, *Step) if "_" in code}
    assert {code for code in codes if code in told} == set()


def test_the_salt_is_on_the_persons_own_page_alone(ordinary: SignedReceipt) -> None:
    assert SALT.hex() not in page(ordinary, "en")
    own = page(ordinary.model_copy(update={"salt": SALT.hex()}), "en")
    assert SALT.hex() in own
    assert "The person's own copy" in seen(own).text
    assert "本人所持的一份" in own


def test_it_shows_how_to_check_the_signed_file(ordinary: SignedReceipt) -> None:
    text = seen(page(ordinary, "zh")).text
    assert text.count(f"likeness receipt verify receipt.json --key {ordinary.key}") == 2
    assert text.count(ordinary.signature) == 2


def test_the_page_stays_small_for_a_hundred_thousand_objects() -> None:
    objects = removed(100_000)
    html = page(signed(removed=objects), "en")
    assert len(html) < 1_000_000
    assert objects[LISTED_MOST - 1].sealed_sha256 in html
    assert objects[LISTED_MOST].sealed_sha256 not in html
    assert "The first 1,000 of 100,000; the signed file lists every one." in html
    assert "共 100,000 个，此处列出前 1,000 个" in html


@settings(max_examples=40)
@given(signed_receipts, st.sampled_from(LANGUAGES))
def test_any_receipt_makes_a_whole_page_that_loads_and_runs_nothing(
    made: SignedReceipt, first: Language
) -> None:
    html = page(made, first)
    found = seen(html)
    assert not {tag for tag, _ in found.tags} & FORBIDDEN
    for _, attributes in found.tags:
        assert not {name for name in attributes if name.startswith("on")}
        for name in ("href", "src"):
            if name in attributes:
                assert re.match(r"#|data:,$", attributes[name] or "")
    assert "url(" not in html
    assert "default-src 'none'" in html.split("<title>")[0]
    html.encode("utf-8")


def test_what_a_receipt_holds_is_escaped() -> None:
    html = page(signed(region="<script>alert(1)</script>", due_at=ORDERED + timedelta(1)), "en")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_every_link_leads_to_a_place_on_the_page(ordinary: SignedReceipt) -> None:
    tags = seen(page(ordinary, "en")).tags
    identifiers = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {(a["href"] or "")[1:] for tag, a in tags if tag == "a"}
    assert targets <= set(identifiers)
    assert {"en", "zh"} <= targets
