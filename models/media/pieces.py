"""What decoding yields, and the order in which it leaves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

PIECE_SECONDS = 0.5
"""Longest piece of sound; also the most of the picture that waits for the sound."""
SOUND_WAIT_SECONDS = 2.0
"""The most of the sound that waits for the picture, whose decoder runs some frames behind."""

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class SoundPiece:
    """Consecutive samples, at most 0.5 s of them.

    `samples`: float32 (n, channels), full scale at 1.0; a float recording may exceed it.
    `start_seconds` counts on the media clock; the next piece starts where this one ends.
    """

    start_seconds: float
    samples: NDArray[np.float32]
    sample_rate_hz: int


@dataclass(frozen=True)
class Frame:
    """One upright picture.

    `time_seconds` is the file's own time stamp on the media clock. `image`: uint8 (height, width,
    3) BGR.
    """

    index: int
    time_seconds: float
    image: NDArray[np.uint8]


class TimeOrder(Generic[Picture]):
    """Cuts sound into pieces and merges them with pictures by starting time.

    Either waits for the other as long as it may still bring something earlier, within bounds: half
    a second of pictures, two seconds of sound. Beyond them (a pause, an end) nothing is waited for.
    """

    def __init__(self, *, picture: bool) -> None:
        """`picture` says whether pictures are to come at all."""
        self._block: NDArray[np.float32] | None = None
        self._filled = 0
        self._block_start = 0
        self._rate = 0
        self._pieces: deque[SoundPiece] = deque()
        self._pictures: deque[tuple[float, Picture]] = deque()
        self._pictures_until = float("-inf") if picture else float("inf")
        self._sound_until = float("-inf")

    def add_sound(
        self, start_sample: int, samples: NDArray[np.float32], rate: int
    ) -> Iterator[SoundPiece | tuple[float, Picture]]:
        """Append float32 (n, channels) that follows what was appended before."""
        if self._block is None:
            self._rate = rate
            self._block_start = start_sample
            self._block = self._new_block(samples.shape[1])
            self._sound_until = start_sample / rate
        while len(samples):
            taken = samples[: len(self._block) - self._filled]
            self._block[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            samples = samples[len(taken) :]
            if self._filled == len(self._block):
                self._end_block()
        return self._due()

    def add_picture(
        self, time_seconds: float, picture: Picture
    ) -> Iterator[SoundPiece | tuple[float, Picture]]:
        """Add the next picture."""
        self._pictures.append((time_seconds, picture))
        self._pictures_until = time_seconds
        return self._due()

    def rest(self) -> Iterator[SoundPiece | tuple[float, Picture]]:
        """Everything that is held."""
        self._end_block()
        self._pictures_until = self._sound_until = float("inf")
        return self._due()

    def _due(self) -> Iterator[SoundPiece | tuple[float, Picture]]:
        while self._pieces or self._pictures:
            piece = self._pieces[0].start_seconds if self._pieces else float("inf")
            picture = self._pictures[0][0] if self._pictures else float("inf")
            if piece <= picture:
                waited = self._sound_until - piece >= SOUND_WAIT_SECONDS
                if not (self._pictures or self._pictures_until >= piece or waited):
                    return
                yield self._pieces.popleft()
            else:
                if not self._pieces and picture >= self._sound_until:
                    if self._pictures_until - picture < PIECE_SECONDS:
                        return
                    if self._filled:
                        self._end_block()
                        continue
                yield self._pictures.popleft()

    def _new_block(self, channels: int) -> NDArray[np.float32]:
        return np.empty((max(1, int(self._rate * PIECE_SECONDS)), channels), np.float32)

    def _end_block(self) -> None:
        if self._block is None or self._filled == 0:
            return
        start_seconds = self._block_start / self._rate
        self._pieces.append(SoundPiece(start_seconds, self._block[: self._filled], self._rate))
        self._block_start += self._filled
        self._sound_until = self._block_start / self._rate
        self._filled = 0
        self._block = self._new_block(self._block.shape[1])
