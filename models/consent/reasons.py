"""Why a use is refused, or will be: codes for programs, sentences for the person."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict


class Reason(BaseModel):
    """One reason; the sentences hold no personal data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    english: str
    chinese: str


def _reasons(*told: tuple[str, str, str]) -> MappingProxyType[str, Reason]:
    return MappingProxyType(
        {
            code: Reason(code=code, english=english, chinese=chinese)
            for code, english, chinese in told
        }
    )


REASONS: Final = _reasons(
    (
        "purpose_not_in_upload",
        "The recording was not uploaded for this purpose.",
        "上传该录音或视频时没有包含这一用途。",
    ),
    (
        "never_granted",
        "Consent for this purpose was never given.",
        "从未就这一用途给出同意。",
    ),
    ("refused", "The person refused this purpose.", "本人拒绝了这一用途。"),
    (
        "withdrawn",
        "The person withdrew consent for this purpose.",
        "本人已撤回对这一用途的同意。",
    ),
    (
        "basis_outdated",
        "The recording rests on a consent that was withdrawn since; "
        "a later consent does not bring it back.",
        "该录音或视频所依据的同意已被撤回；之后的同意不能使其恢复使用。",
    ),
    ("frozen", "This use is stopped by a freeze.", "这一使用已被冻结停止。"),
    (
        "expired",
        "The consent was given for a time that is over.",
        "该同意的有效期已过。",
    ),
    (
        "policy_changed",
        "The privacy policy changed materially for this purpose since the consent was given; "
        "it must be given again.",
        "给出同意之后，隐私政策就这一用途发生了重大变更，需要重新同意。",
    ),
    (
        "evidence_too_weak",
        "The evidence of the consent is weaker than this purpose asks for.",
        "同意的证据强度低于这一用途的要求。",
    ),
    (
        "guardian_consent_missing",
        "The person is under 18, and no written consent of a guardian is on record.",
        "本人未满十八周岁，且没有监护人书面同意的记录。",
    ),
    (
        "own_consent_missing",
        "The person is of age or nearly so; their own consent is needed, not only a guardian's.",
        "本人已成年或接近成年，需要其本人的同意，仅有监护人的同意不够。",
    ),
    (
        "own_consent_needed_at_18",
        "The person has turned 18 since; their own consent is needed again.",
        "本人此后已年满十八周岁，需要其本人重新同意。",
    ),
    (
        "not_identified",
        "It has not been said yet whose voice or face this is.",
        "尚未确认这是谁的声音或面容。",
    ),
    (
        "other_region",
        "The person's data belongs to another region and is not used here.",
        "该个人的数据属于其他地区，不在此处使用。",
    ),
)

WARNINGS: Final = _reasons(
    (
        "policy_change_ahead",
        "A published change of the privacy policy will stop this use until the consent is renewed.",
        "已公布的隐私政策变更生效后，在重新同意之前这一用途将停止。",
    ),
    (
        "consent_expires",
        "The consent was given for a time and will end by itself.",
        "该同意有期限，到期自动终止。",
    ),
    (
        "turns_18_ahead",
        "When the person turns 18, their own consent will be needed.",
        "本人年满十八周岁时，将需要其本人的同意。",
    ),
)

DISCLOSURE_REASONS: Final = _reasons(
    (
        "recipient_ended",
        "The agreement with the recipient is over.",
        "与接收方的协议已经终止。",
    ),
    ("nothing_named", "Nothing was named that should leave.", "没有指明要提供的内容。"),
    (
        "agreement_not_enough",
        "To this kind of recipient an agreement alone is not enough; it needs the person's express "
        "consent, or the law.",
        "对这类接收方，仅有协议不够，需要本人的明示同意或法律依据。",
    ),
    (
        "agreement_missing",
        "No agreement that binds the recipient is on record.",
        "没有对接收方具有约束力的协议记录。",
    ),
    (
        "purpose_not_in_agreement",
        "The agreement does not cover this purpose; another use needs consent of its own.",
        "协议不包含这一用途；其他用途需要单独同意。",
    ),
    (
        "kinds_not_in_agreement",
        "The agreement does not cover everything that was named.",
        "协议没有涵盖所指明的全部内容。",
    ),
    (
        "document_missing",
        "The document that this rests on was not given.",
        "没有提供所依据的文件。",
    ),
    (
        "no_legal_basis",
        "No legal basis with this document permits a disclosure now.",
        "目前没有以该文件为依据、允许提供的法律依据。",
    ),
    (
        "not_named_in_document",
        "The document does not name everything that was asked for.",
        "文件没有指明所要求的全部内容。",
    ),
    (
        "abroad_without_consent",
        "The recipient is in another region, and the person did not separately agree to that.",
        "接收方位于其他地区，本人没有就此单独同意。",
    ),
    (
        "recipient_not_agreed_to",
        "The person did not agree to this recipient.",
        "本人没有同意向该接收方提供。",
    ),
)
