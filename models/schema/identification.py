"""Doubts about whose voice or face it is, and how a settled one is told (invariant 11).

A reviewer says, on record, that the main person of a recording is the person it was uploaded for.
That settles the doubts that were known then, and no other.
"""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import Final

from models.schema.verdict import Level, Verdict

SETTLED: Final = MappingProxyType(
    {
        "several_speakers": (
            "More than one voice was heard. A reviewer decided, on record, that the one heard "
            "most is this person's; what the others said was not kept.",
            "录音中有不止一个人的声音。审核人员已记录在案地确认：说话最多的是本人；"
            "其他人所说的内容均未保留。",
        ),
        "voice_mismatch": (
            "This voice differs from the one in this person's earlier uploads. A reviewer decided, "
            "on record, that it is this person's.",
            "这个声音与此人以前上传的声音不同。审核人员已记录在案地确认：这是本人的声音。",
        ),
        "several_faces": (
            "More than one person is seen. A reviewer decided, on record, that the one seen most "
            "is this person; nothing of the others' faces was kept.",
            "画面中有不止一个人。审核人员已记录在案地确认：出现最多的是本人；"
            "其他人的面部特征均未保留。",
        ),
        "face_mismatch": (
            "This face does not match the earlier uploads of the same person. A reviewer decided, "
            "on record, that it is this person's.",
            "这张脸与同一人以前上传的视频不符。审核人员已记录在案地确认：这是本人的脸。",
        ),
    }
)
"""English and Chinese, by the code of the doubt."""


def settled(verdicts: Collection[Verdict], codes: Collection[str]) -> list[Verdict]:
    """The verdicts, those doubts told as settled whose code a reviewer's decision covers."""
    return [_settled(verdict) if verdict.code in codes else verdict for verdict in verdicts]


def _settled(verdict: Verdict) -> Verdict:
    if verdict.level is not Level.IDENTIFY:
        return verdict
    english, chinese = SETTLED[verdict.code]
    return verdict.model_copy(
        update={"level": Level.SETTLED, "english": english, "chinese": chinese}
    )
