"""What the time stamps of sound and frames add up to, in constant memory."""

from __future__ import annotations

TOLERANCE_SECONDS = 0.04
"""Smaller gaps between time stamps are jitter (containers round to 1 ms, live recorders worse).
Sound may lead the picture by 40 ms before people notice (EBU R37-2007), so the clocks may part by
no more."""
_UNEVEN = 0.25
"""Frame intervals that differ by more than this share of their mean are a varying rate; rounding to
1 ms at 60 frames a second gives 0.06."""


class SoundClock:
    """Counts samples against time stamps."""

    def __init__(self) -> None:
        self.rate = 0
        self.start_sample = 0
        self.samples = 0
        """Samples so far, filled silence included."""
        self.silence = 0

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self.samples / self.rate if self.rate else 0.0

    @property
    def start_seconds(self) -> float:
        """Time of the first sample."""
        return self.start_sample / self.rate if self.rate else 0.0

    @property
    def next_sample(self) -> int:
        """Where the next sample belongs, counted from time 0."""
        return self.start_sample + self.samples

    def gap_before(self, time_seconds: float, rate: int) -> int:
        """Samples of silence due before a block with this time stamp.

        A block that comes too early is put where the sound before it ends.
        """
        stamped = round(time_seconds * rate)
        if not self.rate:
            self.rate, self.start_sample = rate, stamped
        gap = stamped - self.next_sample
        return gap if gap > TOLERANCE_SECONDS * rate else 0

    def add(self, samples: int, *, silence: bool = False) -> None:
        """Count samples that were decoded, or filled in as silence."""
        self.samples += samples
        self.silence += samples if silence else 0


class FrameClock:
    """Counts frames and the spread of their intervals."""

    def __init__(self) -> None:
        self.count = 0
        self.first_seconds = 0.0
        self._last = 0.0
        self._interval = 0.0
        self._shortest = float("inf")
        self._longest = 0.0

    @property
    def elapsed_seconds(self) -> float:
        """From the first frame to the last."""
        return self._last - self.first_seconds

    def add(self, time_seconds: float) -> None:
        """Count one frame."""
        if self.count == 0:
            self.first_seconds = time_seconds
        else:
            self._interval = time_seconds - self._last
            self._shortest = min(self._shortest, self._interval)
            self._longest = max(self._longest, self._interval)
        self._last = time_seconds
        self.count += 1

    def seconds(self, stated_rate_hz: float) -> float:
        """From the first frame to the end of the last, which lasts as long as the one before it.

        A single frame lasts what the container states, at most a second.
        """
        if self.count == 0:
            return 0.0
        if self.count == 1:
            return 1.0 / max(stated_rate_hz, 1.0)
        return self.elapsed_seconds + self._interval

    @property
    def varying(self) -> bool:
        """Whether the frame rate varies."""
        if self.count < 3:
            return False
        mean = self.elapsed_seconds / (self.count - 1)
        return self._longest - self._shortest > _UNEVEN * mean
