"""What the picture of one upload suffices for, and what to record better."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from models.face.identity_threshold import identity_distance, threshold_of
from models.face.settings import FaceSettings
from models.schema.face import FaceMeasurements, MeasuredFace
from models.schema.identification import settled
from models.schema.purposes import NEEDS_FACE, Purpose
from models.schema.verdict import Level, Verdict


def face_verdicts(
    measured: MeasuredFace,
    purposes: Collection[Purpose],
    settings: FaceSettings,
    *,
    earlier: Sequence[NDArray[np.float32]] = (),
    settled_codes: Collection[str] = (),
) -> list[Verdict]:
    """Findings about one picture, the gravest first; empty where no purpose needs the face.

    `earlier` holds embeddings float32 (D,) of the same subject's earlier uploads, made by the same
    identity backend (invariant 12): the caller selects them. `settled_codes` are the doubts that a
    reviewer has settled (invariant 11).
    """
    needed = sorted(purpose for purpose in purposes if purpose in NEEDS_FACE)
    if not needed:
        return []
    facts = measured.measurements
    verdicts = settled(_identity(measured, earlier), settled_codes)
    for purpose in needed:
        findings = _recording(facts, purpose, settings)
        verdicts += findings
        if not verdicts or all(
            verdict.level not in (Level.INSUFFICIENT, Level.IDENTIFY) for verdict in verdicts
        ):
            verdicts.append(_suffices(facts, purpose, better=bool(findings)))
    order = (Level.IDENTIFY, Level.SETTLED, Level.INSUFFICIENT, Level.GOOD, Level.ADVICE)
    return sorted(verdicts, key=lambda verdict: order.index(verdict.level))


def is_same_face(
    embedding: NDArray[np.float32], earlier: Sequence[NDArray[np.float32]], backend: str
) -> bool:
    """Whether an embedding is of the person of `earlier` (not empty), by the measured threshold.

    It is compared with their mean: one odd earlier upload neither lets another person in nor keeps
    the right one out.
    """
    return distance_to_earlier(embedding, earlier) < threshold_of(backend).distance


def distance_to_earlier(
    embedding: NDArray[np.float32], earlier: Sequence[NDArray[np.float32]]
) -> float:
    """The distance of an embedding to the mean of `earlier` (not empty)."""
    mean = np.mean(np.stack(earlier), axis=0).astype(np.float32)
    return identity_distance(embedding, mean)


def _identity(measured: MeasuredFace, earlier: Sequence[NDArray[np.float32]]) -> list[Verdict]:
    facts = measured.measurements
    verdicts = []
    if facts.faces > 1:
        verdicts.append(
            Verdict(
                code="several_faces",
                level=Level.IDENTIFY,
                purpose=None,
                english=(
                    f"{facts.faces} people are seen, the others for "
                    f"{facts.second_face_seconds:.0f} s in all: say whose likeness this is, or "
                    "upload a recording in which only that person is seen."
                ),
                chinese=(
                    f"画面中有 {facts.faces} 个人，其他人共出现 "
                    f"{facts.second_face_seconds:.0f} 秒：请说明这是谁的形象，"
                    "或上传只有本人出镜的视频。"
                ),
            )
        )
    embedding = measured.embedding
    if embedding is not None and earlier:
        backend = facts.backends["identity"].name
        comparable = [other for other in earlier if other.shape == embedding.shape]
        if comparable and not is_same_face(embedding, comparable, backend):
            verdicts.append(
                Verdict(
                    code="face_mismatch",
                    level=Level.IDENTIFY,
                    purpose=None,
                    english=(
                        "This face does not match the earlier uploads of the same person: say "
                        "whose face it is, or upload it for the person it shows."
                    ),
                    chinese="这张脸与同一人以前上传的视频不符：请说明这是谁的脸，或以其本人名义上传。",
                    measured=round(distance_to_earlier(embedding, comparable), 4),
                    limit=threshold_of(backend).distance,
                )
            )
    return verdicts


def _recording(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    if facts.faces == 0:
        return [
            _insufficient(
                "no_face",
                purpose,
                "No face is seen: record the head from the front, in good light, large in the "
                "picture.",
                "画面中没有人脸：请在光线充足处正对镜头拍摄，让头部占画面较大部分。",
            )
        ]
    return [
        *_length(facts, purpose, settings),
        *_size(facts, purpose, settings),
        *_sharpness(facts, purpose, settings),
        *_light(facts, purpose, settings),
        *_direction(facts, purpose, settings),
        *_continuity(facts, purpose, settings),
    ]


def face_seconds(facts: FaceMeasurements) -> float:
    """Seconds in which the main person's face is seen."""
    seen = facts.picture_seconds * facts.frames_with_face / max(facts.frames, 1)
    return max(0.0, seen - facts.second_face_seconds) if facts.faces > 1 else seen


def _length(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    seconds = face_seconds(facts)
    if seconds < settings.seconds_least:
        return [
            _insufficient(
                "face_too_short",
                purpose,
                f"The face is seen for {seconds:.1f} s; a talking head needs at least "
                f"{settings.seconds_least:.0f} s. Record about "
                f"{settings.seconds_good / 60:.0f} minutes.",
                f"人脸只出现了 {seconds:.1f} 秒；制作数字人至少需要 "
                f"{settings.seconds_least:.0f} 秒。"
                f"请录制约 {settings.seconds_good / 60:.0f} 分钟。",
            )
        ]
    if seconds < settings.seconds_good:
        return [
            _advice(
                "face_longer",
                purpose,
                f"The face is seen for {seconds:.0f} s; with "
                f"{settings.seconds_good / 60:.0f} minutes of talking the lips follow the sound "
                "better.",
                f"人脸出现了 {seconds:.0f} 秒；录制 {settings.seconds_good / 60:.0f} "
                "分钟的讲话，口型会更准确。",
            )
        ]
    return []


def _size(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    height = facts.face_height_pixels
    if height < settings.face_pixels_usable:
        return [
            _insufficient(
                "face_too_small",
                purpose,
                f"The face is only {height:.0f} pixels high; at least "
                f"{settings.face_pixels_usable:.0f} are needed. Come closer, or record at a higher "
                "resolution.",
                f"人脸高度只有 {height:.0f} 像素，至少需要 {settings.face_pixels_usable:.0f} "
                "像素。请靠近镜头，或提高录制分辨率。",
            )
        ]
    if height < settings.face_pixels_good:
        return [
            _advice(
                "face_larger",
                purpose,
                f"The face is {height:.0f} pixels high; from {settings.face_pixels_good:.0f} on "
                "skin and teeth come out sharp. Come closer, or record at a higher resolution.",
                f"人脸高度为 {height:.0f} 像素；达到 {settings.face_pixels_good:.0f} "
                "像素时皮肤和牙齿才清晰。请靠近镜头，或提高录制分辨率。",
            )
        ]
    return []


def _sharpness(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    if facts.sharpness < settings.sharpness_usable:
        return [
            _insufficient(
                "face_blurred",
                purpose,
                "The face is blurred: clean the lens, focus on the eyes, hold the camera still and "
                "use more light.",
                "人脸模糊：请擦净镜头、对准眼睛对焦、固定相机，并增加光线。",
            )
        ]
    if facts.sharpness < settings.sharpness_good:
        return [
            _advice(
                "face_sharper",
                purpose,
                "The face is a little soft: focus on the eyes, hold the camera still and export "
                "with less compression.",
                "人脸略欠清晰：请对准眼睛对焦、固定相机，并以较低压缩率导出。",
            )
        ]
    return []


def _light(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    if facts.exposure < settings.exposure_dark:
        return [
            _advice(
                "face_too_dark",
                purpose,
                "The face is dark: turn towards a window or a lamp, with no bright light behind.",
                "人脸偏暗：请面向窗户或灯光，避免背后有强光。",
            )
        ]
    if facts.exposure > settings.exposure_bright:
        return [
            _advice(
                "face_too_bright",
                purpose,
                "The face is overexposed: lower the exposure, or move out of direct light.",
                "人脸过曝：请降低曝光，或避开直射光。",
            )
        ]
    return []


def _direction(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    share = facts.frontal_fraction
    if share < settings.frontal_usable:
        return [
            _insufficient(
                "face_not_frontal",
                purpose,
                f"The face looks towards the camera in {share:.0%} of the time: look into the lens "
                "while talking.",
                f"只有 {share:.0%} 的时间面向镜头：讲话时请看着镜头。",
            )
        ]
    if share < settings.frontal_good:
        return [
            _advice(
                "face_more_frontal",
                purpose,
                f"The face looks towards the camera in {share:.0%} of the time; "
                f"{settings.frontal_good:.0%} or more gives a steadier mouth.",
                f"{share:.0%} 的时间面向镜头；达到 {settings.frontal_good:.0%} "
                "以上，口型会更稳定。",
            )
        ]
    return []


def _continuity(facts: FaceMeasurements, purpose: Purpose, settings: FaceSettings) -> list[Verdict]:
    verdicts = []
    if facts.shots > 1:
        verdicts.append(
            _advice(
                "one_shot_better",
                purpose,
                f"The recording has {facts.shots} shots; one uncut shot from one place gives a "
                "steadier picture.",
                f"视频由 {facts.shots} 个镜头组成；一镜到底、机位不变，画面会更稳定。",
            )
        )
    seen = facts.frames_with_face / max(facts.frames, 1)
    if seen < settings.seen_good:
        verdicts.append(
            _advice(
                "face_often_missing",
                purpose,
                f"The face is seen in {seen:.0%} of the recording: stay in the picture and keep "
                "hands and objects away from the face.",
                f"人脸只在 {seen:.0%} 的时间里可见：请保持在画面内，不要让手或物品遮住脸。",
            )
        )
    return verdicts


def _suffices(facts: FaceMeasurements, purpose: Purpose, *, better: bool) -> Verdict:
    seconds = face_seconds(facts)
    return Verdict(
        code="face_suffices",
        level=Level.GOOD,
        purpose=purpose,
        english=f"{seconds:.0f} s of one face suffice for a digital human"
        + ("; it can be recorded better." if better else "."),
        chinese=f"{seconds:.0f} 秒的人脸画面足以制作数字人"
        + ("，但还可以录得更好。" if better else "。"),
    )


def _insufficient(code: str, purpose: Purpose, english: str, chinese: str) -> Verdict:
    return Verdict(
        code=code, level=Level.INSUFFICIENT, purpose=purpose, english=english, chinese=chinese
    )


def _advice(code: str, purpose: Purpose, english: str, chinese: str) -> Verdict:
    return Verdict(code=code, level=Level.ADVICE, purpose=purpose, english=english, chinese=chinese)
