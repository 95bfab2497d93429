"""The spoken statement: a sentence nobody has recorded before, and whether it was said.

The person reads aloud what they agree to, for whom, and some random words at its end. The words
make a recording of something else, or of another day, useless: they are drawn when the challenge
is issued, as voice-clone services do (challenge-response in the sense of ISO/IEC 30107-1). The
recogniser is never told what it should hear.

Pure: text in, shares and reasons out.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from models.consent.reasons import Reason
from models.consent.settings import StatementSettings
from models.consent.speech_units import sounds_like, units_of
from models.schema.purposes import Purpose

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
WORDS: Final = 6
"""Of more than 200 each: at least 46 bits a sentence."""
_MOST_JOINED: Final[dict[Language, int]] = {"en": 3, "zh": 2}
"""Units that may make up one word: English words are sometimes written apart, Chinese words have
two syllables."""

_DENIALS: Final[dict[Language, re.Pattern[str]]] = {
    "en": re.compile(
        r"\b(?:not|no|never|cannot|(?:do|does|did|is|are|would|could|should|wo|ca|have)n['’]?t|disagree|refuse|deny|withdraw)\b",
        re.I,
    ),
    "zh": re.compile(r"不|没有?同意|拒绝|撤回|反对"),
}
"""Words that turn the agreement round; the random words hold none of them."""

_USES: Final[dict[Language, dict[Purpose, str]]] = {
    "en": {
        Purpose.VOICE_CLONING: "use recordings of my voice to make a computer voice "
        "that sounds like me",
        Purpose.DIGITAL_HUMAN: "use recordings of my voice and my face to make a moving picture "
        "of me that speaks",
        Purpose.MODEL_IMPROVEMENT: "use recordings of my voice to improve the models "
        "that it shares among its customers",
    },
    "zh": {
        Purpose.VOICE_CLONING: "使用我的录音，制作听起来像我的合成声音",
        Purpose.DIGITAL_HUMAN: "使用我的录音和影像，制作会说话的我的数字形象",
        Purpose.MODEL_IMPROVEMENT: "使用我的录音，改进供所有客户共用的模型",
    },
}

_TOLD: Final = {
    "no_speech": (
        "Nobody was heard speaking in the recording. Check the microphone and read the sentence "
        "aloud.",
        "录音中没有听到人声。请检查麦克风并朗读句子。",
    ),
    "too_little_speech": (
        "Too little speech was heard. Read the whole sentence aloud.",
        "录音中的说话时间太短。请完整朗读句子。",
    ),
    "wrong_language": (
        "Another language was heard than that of the sentence. Ask for a sentence in your "
        "language.",
        "听到的语言与句子不同。请索取您所用语言的句子。",
    ),
    "statement_incomplete": (
        "Not enough of the sentence was heard. Read all of it, without leaving words out.",
        "没有听到足够完整的句子。请完整朗读，不要遗漏。",
    ),
    "denied": (
        "The sentence was said with a word that denies it. Nothing was recorded as consent; who "
        "does not agree need do nothing.",
        "句子中出现了否定的词语。未记录任何同意；不同意者无需任何操作。",
    ),
    "words_missing": (
        "The words at the end of the sentence were not all heard, or not in their order. Read each "
        "of them clearly.",
        "句末的词语没有全部听到，或顺序不对。请逐个清楚地朗读。",
    ),
    "more_than_the_sentence": (
        "Much more was said than the sentence. Record the sentence alone.",
        "录音内容远多于该句子。请只录这一句。",
    ),
    "several_voices": (
        "More than one voice was heard. Record alone, without television or radio nearby.",
        "录音中有不止一个人的声音。请独自录制，周围不要有电视或广播声。",
    ),
    "other_voice": (
        "The voice differs from the one in this person's uploads. The person whose voice it is "
        "must read the sentence themselves.",
        "声音与此人以往上传的声音不同。须由声音的本人朗读该句子。",
    ),
    "recording_used_before": (
        "This very recording was handed in before. Record the sentence now.",
        "这份录音以前已经提交过。请现在重新录制。",
    ),
}
REASONS: Final = {
    code: Reason(code=code, english=english, chinese=chinese)
    for code, (english, chinese) in _TOLD.items()
}
"""Why a statement is not accepted, by code."""


@dataclass(frozen=True)
class Sentence:
    """What is to be read aloud: the agreement, with the company's name in its middle, and words."""

    language: Language
    before: str
    company: str
    after: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentence as it is shown."""
        if self.language == "zh":
            return f"{self.before}{self.company}{self.after}{'、'.join(self.words)}。"
        return f"{self.before} {self.company} {self.after} {', '.join(self.words)}."


@dataclass(frozen=True)
class Comparison:
    """How what was heard compares with the sentence. All shares are in [0, 1] but `surplus`."""

    fixed_share: float
    words_heard: int
    words: int
    surplus_share: float
    """Units heard beyond the sentence's number of them, as a share of that number."""
    codes: tuple[str, ...]
    """Why it was not said; empty where it was."""

    @property
    def said(self) -> bool:
        """True when the sentence was said."""
        return not self.codes


def new_sentence(purpose: Purpose, language: Language, settings: StatementSettings) -> Sentence:
    """A sentence that names the company and the purpose, with words drawn just now."""
    words = tuple(secrets.SystemRandom().sample(word_list(language), WORDS))
    return sentence_of(purpose, language, settings, words)


def sentence_of(
    purpose: Purpose, language: Language, settings: StatementSettings, words: Sequence[str]
) -> Sentence:
    """The sentence with given words."""
    use = _USES[language][purpose]
    if language == "zh":
        company = settings.company_chinese
        return Sentence("zh", "我同意", company, f"{use}。我的口令是：", tuple(words))
    return Sentence(
        "en", "I agree that", settings.company_english, f"may {use}. My words are", tuple(words)
    )


def compare(heard: str, sentence: Sentence, settings: StatementSettings) -> Comparison:
    """Whether the sentence was said, judged by what a recogniser wrote down.

    Case, punctuation and the way of writing do not matter. English words may differ by a letter in
    four; Chinese is compared by syllables without tones, in which the finals -n and -ng, the
    initials zh, ch, sh and z, c, s, and n and l count as one, as in many accents.
    """
    language = sentence.language
    said = units_of(heard, language)
    fixed = units_of(f"{sentence.before} {sentence.after}", language)
    company = units_of(sentence.company, language)
    words = ["".join(units_of(word, language)) for word in sentence.words]
    whole = len(fixed) + len(company) + sum(len(units_of(w, language)) for w in sentence.words)

    fixed_share = _in_order(fixed, said, joined=1) / len(fixed)
    words_heard = _in_order(words, said, joined=_MOST_JOINED[language])
    surplus = max(0.0, (len(said) - whole) / whole)
    codes = []
    denial = _DENIALS[language]
    if len(denial.findall(heard)) > len(denial.findall(sentence.text)):
        codes.append("denied")
    if fixed_share < settings.fixed_share_least:
        codes.append("statement_incomplete")
    if words_heard < len(words) - settings.words_missed_most:
        codes.append("words_missing")
    if surplus > settings.surplus_share_most:
        codes.append("more_than_the_sentence")
    return Comparison(fixed_share, words_heard, len(words), surplus, tuple(codes))


def reasons_for(codes: Iterable[str]) -> list[Reason]:
    """The codes as sentences for people, each once."""
    return [REASONS[code] for code in dict.fromkeys(codes)]


@cache
def word_list(language: Language) -> tuple[str, ...]:
    """Common things that are easily read and told apart: no two of them sound alike."""
    file = Path(__file__).with_name(f"words_{language}.txt")
    return tuple(file.read_text(encoding="utf-8").split())


def _in_order(wanted: Sequence[str], said: Sequence[str], *, joined: int) -> int:
    """How many of `wanted` are found in `said` in their order, at most.

    Each may be found in up to `joined` neighbouring units written together. The longest common
    subsequence (Wagner and Fischer 1974) with a tolerant equality.
    """
    best = [[0] * (len(said) + 1) for _ in range(len(wanted) + 1)]
    for i, word in enumerate(wanted, 1):
        for j in range(1, len(said) + 1):
            best[i][j] = max(best[i - 1][j], best[i][j - 1])
            for width in range(1, min(joined, j) + 1):
                found = best[i - 1][j - width] + 1
                if found > best[i][j] and sounds_like("".join(said[j - width : j]), word):
                    best[i][j] = found
    return best[-1][-1]
