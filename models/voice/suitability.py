"""What a recording's voice is good for, and what to record better."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.schema.identification import settled
from models.schema.purposes import NEEDS_VOICE, Purpose
from models.schema.verdict import Level, Verdict
from models.schema.voice import MeasuredVoice, VoiceMeasurements
from models.voice.settings import VoiceSettings
from models.voice.thresholds import speaker_thresholds

_NEEDS_A_CLONE = frozenset({Purpose.VOICE_CLONING, Purpose.DIGITAL_HUMAN})
"""Purposes that end in a clone of this voice (Policy P01, P02)."""


def voice_verdicts(
    measured: MeasuredVoice,
    purposes: Iterable[Purpose],
    settings: VoiceSettings,
    *,
    earlier: Sequence[NDArray[np.float32]] = (),
    settled_codes: Collection[str] = (),
) -> list[Verdict]:
    """Findings about the voice, the gravest first.

    `earlier`: embeddings (D,) of the subject's earlier uploads by the same backend as
    `measured.embedding` (invariant 12); a different length raises ValueError. Several speakers,
    or a voice that differs from the earlier ones, must be identified first (invariant 11), unless
    a reviewer has settled that doubt: then its code is in `settled_codes`.
    """
    wanted = [purpose for purpose in Purpose if purpose in set(purposes) & NEEDS_VOICE]
    if not wanted:
        return []
    numbers = measured.measurements
    silent = _silence(numbers, wanted)
    if silent:
        return silent
    verdicts = [
        *settled(_identity(measured, settings, earlier), settled_codes),
        *_length(numbers, wanted, settings),
        *_clipping(numbers, settings),
        *_noise(numbers, settings),
        *_bandwidth(numbers, settings),
        *_loudness(numbers, settings),
    ]
    order = [Level.IDENTIFY, Level.SETTLED, Level.INSUFFICIENT, Level.ADVICE, Level.GOOD]
    return sorted(verdicts, key=lambda verdict: order.index(verdict.level))


def _verdict(
    code: str, level: Level, english: str, chinese: str, purpose: Purpose | None = None
) -> Verdict:
    return Verdict(code=code, level=level, purpose=purpose, english=english, chinese=chinese)


def _main_speech_seconds(numbers: VoiceMeasurements) -> float:
    """Speech of the main voice: only that is kept, so only that can suffice."""
    return max(0.0, numbers.speech_seconds - numbers.second_speaker_seconds)


def _silence(numbers: VoiceMeasurements, wanted: Sequence[Purpose]) -> list[Verdict]:
    if numbers.sound_seconds <= 0:
        code = "no_sound"
        english = (
            "The file has no sound, so it says nothing about the voice. "
            "Record again with the microphone switched on."
        )
        chinese = "文件中没有声音，无法了解嗓音。请打开麦克风后重新录制。"
    elif numbers.speech_seconds <= 0:
        code = "no_speech"
        english = (
            "Nobody speaks in this recording. Record at least half a minute of clear speech "
            "close to the microphone."
        )
        chinese = "录音中没有人说话。请靠近麦克风，清晰地说话，录制至少半分钟。"
    else:
        return []
    return [_verdict(code, Level.INSUFFICIENT, english, chinese, purpose) for purpose in wanted]


def _identity(
    measured: MeasuredVoice, settings: VoiceSettings, earlier: Sequence[NDArray[np.float32]]
) -> list[Verdict]:
    found = []
    numbers = measured.measurements
    if numbers.speakers > 1:
        seconds = numbers.second_speaker_seconds
        found.append(
            _verdict(
                "several_speakers",
                Level.IDENTIFY,
                f"{_several(numbers.speakers)} voices were heard; about {seconds:.0f} s are not "
                "the main one. Say whose voice this is, or record one person alone, without "
                "other people, radio or television nearby.",
                f"录音中听到了{numbers.speakers}个人的声音，其中约{seconds:.0f}秒不是主要说话人。"
                "请说明这是谁的声音，或在没有他人、广播和电视声的地方单独录制一个人。",
            )
        )
    if earlier and measured.embedding is not None:
        for embedding in earlier:
            if embedding.shape != measured.embedding.shape:
                raise ValueError("embeddings of different backends are never compared")
        mean = np.mean(np.stack(earlier), axis=0, dtype=np.float64)
        likeness = float(measured.embedding @ (mean / max(float(np.linalg.norm(mean)), 1e-12)))
        threshold = speaker_thresholds(settings.speaker_encoder).same_voice_across_uploads
        if likeness < threshold:
            found.append(
                _verdict(
                    "voice_mismatch",
                    Level.IDENTIFY,
                    "This voice differs from the one in this person's earlier uploads "
                    f"(similarity {likeness:.2f}, {threshold:.2f} is needed). Say whose voice "
                    "this is, or upload it for the person it belongs to.",
                    f"这个声音与此人以前上传的声音不同（相似度{likeness:.2f}，至少需要"
                    f"{threshold:.2f}）。请说明这是谁的声音，或以其本人的名义上传。",
                ).model_copy(update={"measured": round(likeness, 4), "limit": threshold})
            )
    return found


def _several(count: int) -> str:
    return {2: "Two", 3: "Three", 4: "Four", 5: "Five"}.get(count, str(count))


def _length(
    numbers: VoiceMeasurements, wanted: Sequence[Purpose], settings: VoiceSettings
) -> list[Verdict]:
    speech, needed = _main_speech_seconds(numbers), settings.clone_speech_seconds
    usable = bool(numbers.utterances)
    found = []
    for purpose in wanted:
        if purpose not in _NEEDS_A_CLONE:
            if not usable:
                found.append(_too_little(purpose, speech, settings))
            continue
        if speech >= needed and usable:
            found.append(
                _verdict(
                    "speech_suffices",
                    Level.GOOD,
                    f"{speech:.0f} s of speech suffice for a voice clone ({needed:.0f} s are "
                    "needed).",
                    f"有{speech:.0f}秒语音，足以克隆声音（至少需要{needed:.0f}秒）。",
                    purpose,
                )
            )
        elif not usable:
            found.append(_too_little(purpose, speech, settings))
        else:
            missing = max(0.1, needed - speech)
            found.append(
                _verdict(
                    "speech_too_short",
                    Level.INSUFFICIENT,
                    f"A voice clone needs {needed:.0f} s of speech and this recording has "
                    f"{speech:.1f} s; {missing:.1f} s are missing. Record more of the same "
                    "person, in whole sentences and in the same room.",
                    f"克隆声音需要{needed:.0f}秒语音，这段录音只有{speech:.1f}秒，还差"
                    f"{missing:.1f}秒。请在同一房间里，让同一个人用完整的句子多录一些。",
                    purpose,
                )
            )
    return found


def _too_little(purpose: Purpose, speech: float, settings: VoiceSettings) -> Verdict:
    needed = (
        settings.clone_speech_seconds
        if purpose in _NEEDS_A_CLONE
        else settings.segment_shortest_seconds
    )
    return _verdict(
        "speech_too_short",
        Level.INSUFFICIENT,
        f"Only {speech:.1f} s of speech were heard, and never "
        f"{settings.least_speech_seconds:.1f} s together; the voice cannot be described from "
        f"that. Record at least {needed:.0f} s in whole sentences.",
        f"只听到{speech:.1f}秒语音，且没有一处连续说满{settings.least_speech_seconds:.1f}秒，"
        f"无法据此描述声音。请用完整的句子录制至少{needed:.0f}秒。",
        purpose,
    )


def _clipping(numbers: VoiceMeasurements, settings: VoiceSettings) -> list[Verdict]:
    share = numbers.clipped_fraction
    if share <= settings.clipped_fraction_most:
        return []
    spoiled = share > settings.clipped_fraction_spoiled
    return [
        _verdict(
            "clipped",
            Level.INSUFFICIENT if spoiled else Level.ADVICE,
            f"The recording is too loud for its recorder: {share:.1%} of the samples are cut off. "
            "Turn the input level down or move away from the microphone, and record again.",
            f"录音电平过高，{share:.1%}的采样被削顶。请降低输入音量或离麦克风远一些，重新录制。",
        )
    ]


def _noise(numbers: VoiceMeasurements, settings: VoiceSettings) -> list[Verdict]:
    ratio = numbers.signal_to_noise_db
    if ratio is None or ratio >= settings.signal_to_noise_good_db:
        return []
    spoiled = ratio < settings.signal_to_noise_least_db
    return [
        _verdict(
            "noisy",
            Level.INSUFFICIENT if spoiled else Level.ADVICE,
            f"The speech is only {ratio:.0f} dB above the background noise "
            f"({settings.signal_to_noise_good_db:.0f} dB or more is good). Record in a quiet "
            "room, close to the microphone, with fans and music switched off.",
            f"语音只比背景噪声高{ratio:.0f}分贝（最好达到{settings.signal_to_noise_good_db:.0f}"
            "分贝以上）。请在安静的房间里靠近麦克风录制，并关掉风扇和音乐。",
        )
    ]


def _bandwidth(numbers: VoiceMeasurements, settings: VoiceSettings) -> list[Verdict]:
    width = numbers.bandwidth_hz
    if width >= settings.bandwidth_good_hz:
        return []
    narrow = width < settings.bandwidth_least_hz
    return [
        _verdict(
            "narrow_bandwidth",
            Level.INSUFFICIENT if narrow else Level.ADVICE,
            f"The sound reaches only {width / 1000:.1f} kHz, "
            + ("like a telephone call" if narrow else "so it is somewhat muffled")
            + f" ({settings.bandwidth_good_hz / 1000:.0f} kHz or more is good). Record with the "
            "phone's or computer's own recorder, not through a call or a Bluetooth headset.",
            f"声音最高只到{width / 1000:.1f}千赫，"
            + ("像电话录音" if narrow else "听起来有些发闷")
            + f"（最好达到{settings.bandwidth_good_hz / 1000:.0f}千赫以上）。"
            "请用手机或电脑自带的录音功能录制，不要通过通话或蓝牙耳机录音。",
        )
    ]


def _loudness(numbers: VoiceMeasurements, settings: VoiceSettings) -> list[Verdict]:
    level = numbers.loudness.integrated_lufs if numbers.loudness else None
    if level is None:
        return []
    if level < settings.loudness_least_lufs:
        return [
            _verdict(
                "too_quiet",
                Level.ADVICE,
                f"The recording is quiet ({level:.0f} LUFS). Move closer to the microphone or "
                "turn the input level up.",
                f"录音音量偏小（{level:.0f} LUFS）。请靠近麦克风或调高输入音量。",
            )
        ]
    if level > settings.loudness_most_lufs:
        return [
            _verdict(
                "too_loud",
                Level.ADVICE,
                f"The recording is very loud ({level:.0f} LUFS). Turn the input level down and "
                "switch loudness processing off.",
                f"录音音量过大（{level:.0f} LUFS）。请降低输入音量，并关闭响度处理。",
            )
        ]
    return []
