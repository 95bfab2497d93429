"""The spoken sentence: what is asked for, and when it counts as said."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.consent.settings import StatementSettings
from models.consent.speech_units import distance, sounds_like, units_of
from models.consent.statement import (
    LANGUAGES,
    REASONS,
    WORDS,
    Language,
    Sentence,
    compare,
    new_sentence,
    reasons_for,
    sentence_of,
    word_list,
)
from models.schema.purposes import Purpose

few = settings(max_examples=30, deadline=None)
SETTINGS = StatementSettings(company_english="Klarsicht GmbH", company_chinese="清远科技")
each_language = pytest.mark.parametrize("language", LANGUAGES)


@st.composite
def sentences(draw: st.DrawFn, language: Language | None = None) -> Sentence:
    """Any sentence that the house could issue."""
    chosen = language or draw(st.sampled_from(LANGUAGES))
    words = st.lists(
        st.sampled_from(word_list(chosen)), min_size=WORDS, max_size=WORDS, unique=True
    )
    return sentence_of(draw(st.sampled_from(Purpose)), chosen, SETTINGS, draw(words))


def _without_company(sentence: Sentence) -> str:
    return sentence.text.replace(sentence.company, "")


# --- what is asked for ---------------------------------------------------------------------------


@each_language
@pytest.mark.parametrize("purpose", Purpose)
def test_a_sentence_names_the_company_and_ends_in_six_different_words(
    language: Language, purpose: Purpose
) -> None:
    sentence = new_sentence(purpose, language, SETTINGS)
    company = SETTINGS.company_chinese if language == "zh" else SETTINGS.company_english
    assert company in sentence.text
    assert len(set(sentence.words)) == WORDS
    assert all(word in sentence.text for word in sentence.words)


@each_language
def test_every_purpose_has_a_sentence_of_its_own(language: Language) -> None:
    told = {sentence_of(p, language, SETTINGS, ["a"]).text for p in Purpose}
    assert len(told) == len(Purpose)


@each_language
def test_the_words_of_a_sentence_hold_at_least_forty_bits(language: Language) -> None:
    assert math.log2(math.perm(len(word_list(language)), WORDS)) >= 40


@each_language
def test_two_sentences_never_ask_for_the_same_words(language: Language) -> None:
    drawn = {new_sentence(Purpose.VOICE_CLONING, language, SETTINGS).words for _ in range(200)}
    assert len(drawn) == 200


@each_language
def test_no_two_words_of_a_list_are_taken_for_each_other(language: Language) -> None:
    keys = ["".join(units_of(word, language)) for word in word_list(language)]
    assert len(keys) == len(set(keys))
    confused = [
        (one, other) for one, other in itertools.permutations(keys, 2) if sounds_like(one, other)
    ]
    assert confused == []


@each_language
@few
@given(data=st.data())
def test_no_sentence_that_the_house_issues_denies_itself(
    language: Language, data: st.DataObject
) -> None:
    sentence = data.draw(sentences(language))
    assert "denied" not in compare(sentence.text, sentence, StatementSettings()).codes


# --- when it counts as said ----------------------------------------------------------------------


@few
@given(sentences())
def test_the_exact_sentence_is_said(sentence: Sentence) -> None:
    compared = compare(sentence.text, sentence, SETTINGS)
    assert compared.said
    assert (compared.fixed_share, compared.words_heard, compared.surplus_share) == (1, WORDS, 0)


@few
@given(sentences(), sentences())
def test_another_challenges_sentence_is_not_said(one: Sentence, other: Sentence) -> None:
    assume(one.language == other.language)
    assume(len(set(one.words) & set(other.words)) < WORDS - SETTINGS.words_missed_most)
    assert "words_missing" in compare(other.text, one, SETTINGS).codes


@few
@given(sentences(), st.randoms())
def test_what_is_not_the_sentence_in_case_and_punctuation_alone_is_the_sentence(
    sentence: Sentence, random: object
) -> None:
    shouted = sentence.text.upper().replace(",", " ").replace("、", "。").replace(".", "!")
    assert compare(shouted, sentence, SETTINGS).said


@few
@given(sentences(), st.data())
def test_words_left_out_are_missed_one_by_one(sentence: Sentence, data: st.DataObject) -> None:
    left_out = data.draw(st.sets(st.sampled_from(sentence.words)))
    said = sentence_of(
        Purpose.VOICE_CLONING,
        sentence.language,
        SETTINGS,
        [word for word in sentence.words if word not in left_out],
    )
    compared = compare(said.text, sentence, SETTINGS)
    # Syllables of neighbours may make up one more by chance.
    chance = 0 if sentence.language == "en" else 1
    said_words = WORDS - len(left_out)
    assert said_words <= compared.words_heard <= said_words + chance
    if len(left_out) > SETTINGS.words_missed_most + chance:
        assert "words_missing" in compared.codes


@few
@given(sentences())
def test_words_in_another_order_are_not_the_sentence(sentence: Sentence) -> None:
    turned = sentence_of(Purpose.VOICE_CLONING, sentence.language, SETTINGS, sentence.words[::-1])
    assert "words_missing" in compare(turned.text, sentence, SETTINGS).codes


@few
@given(sentences())
def test_the_words_alone_are_not_an_agreement(sentence: Sentence) -> None:
    assert "statement_incomplete" in compare(" ".join(sentence.words), sentence, SETTINGS).codes


@few
@given(sentences())
def test_the_companys_name_may_be_misheard_altogether(sentence: Sentence) -> None:
    assert compare(_without_company(sentence), sentence, SETTINGS).said


@each_language
@few
@given(data=st.data())
def test_a_whole_word_list_read_aloud_answers_no_challenge(
    language: Language, data: st.DataObject
) -> None:
    sentence = data.draw(sentences(language))
    everything = " ".join(sorted(word_list(language), key=lambda w: w not in sentence.words))
    codes = compare(f"{sentence.text} {everything}", sentence, SETTINGS).codes
    assert codes == ("more_than_the_sentence",)


@few
@given(sentences(), st.text(max_size=200))
def test_any_text_can_be_compared_and_shares_stay_shares(sentence: Sentence, heard: str) -> None:
    compared = compare(heard, sentence, SETTINGS)
    assert 0 <= compared.fixed_share <= 1
    assert 0 <= compared.words_heard <= compared.words == WORDS
    assert compared.surplus_share >= 0
    assert {reason.code for reason in reasons_for(compared.codes)} <= set(REASONS)


@pytest.mark.parametrize(
    ("language", "agreed", "denied"),
    [
        ("en", "I agree", "I do not agree"),
        ("en", "I agree", "I don't agree"),
        ("en", "I agree", "I never agree"),
        ("zh", "我同意", "我不同意"),
        ("zh", "我同意", "我没有同意"),
    ],
)
def test_a_sentence_turned_round_is_a_denial(language: Language, agreed: str, denied: str) -> None:
    sentence = new_sentence(Purpose.VOICE_CLONING, language, SETTINGS)
    codes = compare(sentence.text.replace(agreed, denied), sentence, SETTINGS).codes
    assert codes == ("denied",)


def test_a_company_whose_name_says_no_can_be_agreed_to() -> None:
    named = StatementSettings(company_english="Never Not", company_chinese="不二家")
    for language in LANGUAGES:
        sentence = new_sentence(Purpose.VOICE_CLONING, language, named)
        assert compare(sentence.text, sentence, named).said


# --- the units of comparison ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "heard"),
    [("声音", "生因"), ("苹果", "平锅"), ("牛奶", "刘来"), ("女", "铝")],
)
def test_chinese_is_compared_by_sound_and_as_accents_merge_it(written: str, heard: str) -> None:
    assert units_of(written, "zh") == units_of(heard, "zh")


def test_chinese_that_sounds_different_stays_different() -> None:
    assert units_of("苹果", "zh") != units_of("香蕉", "zh")


def test_every_character_of_the_first_level_of_gb_2312_has_a_syllable() -> None:
    characters = [
        bytes((high, low)).decode("gb2312", "ignore")
        for high in range(0xB0, 0xD8)
        for low in range(0xA1, 0xFF)
    ]
    known = [character for character in characters if character]
    assert len(known) == 3755
    assert all(units_of(character, "zh")[0].isascii() for character in known)


def test_accents_apostrophes_and_wide_letters_do_not_matter_in_english() -> None:
    assert units_of("Café, I'm ＨＥＲＥ!", "en") == ["cafe", "im", "here"]


@few
@given(st.text("abc", max_size=8), st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_distance_is_a_metric(one: str, two: str, three: str) -> None:
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, two) == distance(two, one)
    assert distance(one, three) <= distance(one, two) + distance(two, three)
