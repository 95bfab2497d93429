from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from models.voice.given_transcript import GivenTranscript, language_of

TEXT = (
    "There is iron, they say, in all our blood; and a grain or two, perhaps, is good. "
    "But his, he makes me harshly feel, has got a little too much of steel."
)


def test_the_given_words_replace_the_misheard_ones() -> None:
    transcript = GivenTranscript(TEXT)
    found = transcript.replace(
        [
            "There's iron they say in all our blood and a grain of two perhaps is good",
            "but his he makes me hardly feel has got a little too much of steal",
        ]
    )
    assert found == [
        "There is iron, they say, in all our blood; and a grain or two, perhaps, is good.",
        "But his, he makes me harshly feel, has got a little too much of steel.",
    ]


def test_windows_that_follow_go_on_where_the_last_one_ended() -> None:
    transcript = GivenTranscript(TEXT)
    first = transcript.replace(["There is iron they say in all our blood"])
    second = transcript.replace(["and a grain or two perhaps is good but his"])
    assert first == ["There is iron, they say, in all our blood;"]
    assert second == ["and a grain or two, perhaps, is good. But his,"]


def test_what_was_said_but_not_given_keeps_the_recognised_words() -> None:
    transcript = GivenTranscript(TEXT)
    found = transcript.replace(
        ["Hello and welcome to this recording", "There is iron they say in all our blood"]
    )
    assert found[0] == "Hello and welcome to this recording"
    assert found[1] == "There is iron, they say, in all our blood;"


def test_what_was_given_but_not_said_is_left_out() -> None:
    found = GivenTranscript(TEXT).replace(["but his he makes me harshly feel"])
    assert found == ["But his, he makes me harshly feel,"]


def test_utterances_without_recognised_words_get_none() -> None:
    found = GivenTranscript(TEXT).replace([None, "There is iron they say in all our blood"])
    assert found[0] is None
    assert found[1] is not None


def test_chinese_is_aligned_by_character() -> None:
    transcript = GivenTranscript("广州市房地产中介协会分析。欢迎大家来体验！")
    found = transcript.replace(["廣州市佛地产中间协会分析", "欢迎大家来体验"])
    assert found == ["广州市房地产中介协会分析。", "欢迎大家来体验！"]


def test_without_a_recogniser_the_text_is_spread_by_time_and_cut_at_marks() -> None:
    found = GivenTranscript(TEXT).spread([5.0, 4.6])
    assert found == [
        "There is iron, they say, in all our blood; and a grain or two, perhaps, is good.",
        "But his, he makes me harshly feel, has got a little too much of steel.",
    ]
    assert GivenTranscript("One.").spread([2.0, 2.0]) in ([None, "One."], ["One.", None])
    assert GivenTranscript("...").spread([2.0]) == [None]


@given(
    words=st.lists(st.sampled_from(["alpha", "beta", "gamma", "好", "人"]), max_size=40),
    seconds=st.lists(st.floats(0.1, 12), min_size=1, max_size=6),
)
def test_spreading_neither_loses_nor_invents_a_word(words: list[str], seconds: list[float]) -> None:
    found = GivenTranscript(", ".join(words) + ".").spread(seconds)
    assert len(found) == len(seconds)
    assert re.findall(r"\w+", " ".join(part or "" for part in found)) == words


@given(
    said=st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=8).map(" ".join), max_size=4
    ),
    given_words=st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=40),
)
def test_replacing_uses_only_words_that_were_given_or_recognised(
    said: list[str], given_words: list[str]
) -> None:
    transcript = GivenTranscript(" ".join(given_words))
    found = transcript.replace(list(said))
    assert len(found) == len(said)
    changed = [text for text, heard in zip(found, said, strict=True) if text != heard]
    assert " ".join(changed).replace(" ", "") in "".join(given_words) or all(
        part is not None and part in " ".join(given_words) for part in changed
    )


def test_the_language_of_chinese_text_is_known_and_of_letters_is_not_guessed() -> None:
    assert language_of("欢迎大家 hello") == "zh"
    assert language_of("Bonjour tout le monde") is None
    assert language_of("") is None
