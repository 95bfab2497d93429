"""Settings of the voice features, with where each default comes from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class VoiceSettings(BaseModel):
    """What is computed from the sound, by which backend, and from when it suffices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transcribe: bool = True
    """Recognise what is said. Off, utterances have no transcript unless the caller gives one."""
    recogniser: str = "whisper-base"
    """The smallest Whisper that reads the shared recordings nearly without errors on a CPU."""
    languages: tuple[str, ...] = ("en", "zh")
    """Languages the recogniser is trusted in (ISO 639-1); in others there is no transcript."""
    speaker_encoder: str = "resemblyzer"
    """Equal error rate 0 on the shared recordings' ten speakers, 90 times real time on a core."""

    activity_threshold: float = Field(default=0.5, gt=0, lt=1)
    """silero-vad's own default."""
    segment_shortest_seconds: float = Field(default=3.0, gt=0)
    segment_longest_seconds: float = Field(default=12.0, gt=0)
    """3-12 s: most utterances of LJ Speech and LibriTTS, which acoustic models learn from."""
    segment_longest_pause_seconds: float = Field(default=1.0, gt=0)
    """A longer pause ends an utterance: silence inside is learned as part of the voice."""
    least_speech_seconds: float = Field(default=1.6, gt=0)
    """One window of the speaker encoder. Less speech in one place gives no segment."""
    embedding_step_seconds: float = Field(default=0.8, gt=0)
    """Half a window, so that a short turn of a second speaker fills one. Doubled whenever
    `most_windows` are held."""
    most_windows: int = Field(default=2_000, ge=2)
    """26 minutes of speech at the first step; 2 MB."""
    least_speaker_windows: int = Field(default=4, ge=2)
    """About 4 s of a second voice. Three windows of one voice can lie apart by chance."""
    held_transcript_seconds: float = Field(default=180.0, ge=0)
    """Longest speech held back to spread a given transcript over it when nothing is recognised."""

    clone_speech_seconds: float = Field(default=30.0, gt=0)
    """36-40 s adapted a decoder to the target with every sentence accepted; 15 s gave 0.75-1.0 and
    5 s 0.5-0.6 of them (measured for this product on LibriSpeech). 30 s is where services begin."""
    clipped_fraction_most: float = Field(default=1e-3, ge=0)
    """One sample in a thousand is up to 16 flattened peaks a second at 48 kHz: heard as crackle."""
    clipped_fraction_spoiled: float = Field(default=2e-2, ge=0)
    """At two in a hundred the distortion is part of the voice."""
    signal_to_noise_good_db: float = 20.0
    """LibriTTS keeps utterances above 20 dB (Zen et al. 2019, WADA-SNR, `clean` subsets)."""
    signal_to_noise_least_db: float = 10.0
    """Below it the noise masks consonants; the speaker encoder begins to hear the room."""
    bandwidth_good_hz: float = 7_000.0
    """Wideband telephony (ITU-T G.722) carries 50-7,000 Hz; narrowband 300-3,400 Hz."""
    bandwidth_least_hz: float = 5_000.0
    """Between narrowband and wideband: sibilants are missing below."""
    loudness_least_lufs: float = -35.0
    """12 LU below EBU R128's -23 LUFS: raising it raises the room with it."""
    loudness_most_lufs: float = -9.0
    """Louder speech has been limited or clipped."""
