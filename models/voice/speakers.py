"""How many voices a recording holds.

Windows of 1.6 s are embedded; their vectors are split in two as long as the halves lie further
apart than the windows of one voice do. Bisecting spherical k-means (Dhillon & Modha 2001,
"Concept decompositions for large sparse text data using clustering", Machine Learning 42) costs
time linear in the windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.voice.samples import Samples
from models.voice.speaker_embedding import (
    RATE_HZ,
    WINDOW_SECONDS,
    SpeakerEncoder,
    mean_embedding,
)
from models.voice.thresholds import SpeakerThresholds

Embeddings = NDArray[np.float32]
_ITERATIONS = 20
_MOST_SPEAKERS = 8
_BATCH = 64
"""Windows embedded at once: the network's weights are read once for all of them."""
_MANY_WINDOWS = 24
"""From here on the halves of one voice agree closely, even the insides of its chance turns."""


@dataclass(frozen=True)
class Speakers:
    """The voices told apart.

    `count` is 0 without windows. `first_share` is the share of windows of the voice that has most
    of them, `embedding` that voice's mean, float32 (D,) with L2 norm 1, None without windows.
    `of_stretch` says for each stretch of speech which voice speaks in it, 0 the one that has most
    windows; None where several do, or where a recording of several voices tells nothing of it.
    """

    count: int
    first_share: float
    embedding: NDArray[np.float32] | None
    of_stretch: tuple[int | None, ...] = ()


class SpeakerWindows:
    """Embeddings of speech windows, thinned evenly when there are too many."""

    def __init__(self, encoder: SpeakerEncoder, *, step_seconds: float, most_windows: int) -> None:
        self._encoder = encoder
        self._step_seconds = step_seconds
        self._most = most_windows
        self._rows: list[NDArray[np.float32]] = []
        self._skipped = 0
        self._pending: list[NDArray[np.float32]] = []
        self._stretches = 0
        self._stretch_of: list[int] = []
        """The stretch of each row, then of each pending window."""

    def add(self, speech: Samples) -> None:
        """Takes the next stretch of speech, (n,) at 16 kHz without its pauses."""
        stretch = self._stretches
        self._stretches += 1
        if len(speech) < RATE_HZ // 100:
            return
        step = min(self._step_seconds, WINDOW_SECONDS)
        stride = round(self._step_seconds / step)
        found = self._encoder.windows(speech, step)
        first = -self._skipped % stride
        chosen = found[first::stride]
        self._pending.extend(chosen)
        self._stretch_of += [stretch] * len(chosen)
        self._skipped = (self._skipped + len(found)) % stride
        if len(self._pending) >= _BATCH:
            self._embed()

    def _embed(self) -> None:
        if self._pending:
            self._rows.extend(self._encoder.embed(np.stack(self._pending)))
            self._pending = []
        while len(self._rows) > self._most:
            self._rows, self._stretch_of = self._rows[::2], self._stretch_of[::2]
            self._step_seconds *= 2

    def separate(self, *, thresholds: SpeakerThresholds, least_windows: int) -> Speakers:
        """The voices among all windows; see `label_voices`."""
        self._embed()
        if not self._rows:
            return Speakers(0, 1.0, None, (0,) * self._stretches)
        windows = np.stack(self._rows)
        labels = label_voices(windows, thresholds=thresholds, least_windows=least_windows)
        first = labels == 0
        return Speakers(
            int(labels.max()) + 1,
            float(first.mean()),
            mean_embedding(windows[first]),
            self._of_stretches(labels),
        )

    def _of_stretches(self, labels: NDArray[np.int64]) -> tuple[int | None, ...]:
        if not labels.any():
            return (0,) * self._stretches
        heard: list[set[int]] = [set() for _ in range(self._stretches)]
        for stretch, label in zip(self._stretch_of, labels.tolist(), strict=True):
            heard[stretch].add(label)
        return tuple(next(iter(voices)) if len(voices) == 1 else None for voices in heard)


def label_voices(
    windows: Embeddings, *, thresholds: SpeakerThresholds, least_windows: int
) -> NDArray[np.int64]:
    """Groups embeddings (n, D) by voice: labels (n,), 0 for the voice with most windows.

    Two groups of at least `least_windows` are two voices when the cosine between their means is
    below a threshold, which is higher from 24 windows on. In conversation many windows hold both
    voices and draw the means together; so there it is also enough that the means of the windows
    inside a turn lie far apart.
    """
    labels = np.zeros(len(windows), np.int64)
    waiting, count = [0], 1
    while waiting and count < _MOST_SPEAKERS:
        label = waiting.pop()
        members = np.flatnonzero(labels == label)
        second = _split(windows[members], thresholds, least_windows)
        if second is not None:
            labels[members[second]] = count
            waiting += [label, count]
            count += 1
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(count)
    return np.asarray(rank[labels], np.int64)


def _split(
    windows: Embeddings, thresholds: SpeakerThresholds, least: int
) -> NDArray[np.bool_] | None:
    if len(windows) < 2 * least:
        return None
    second = _halves(windows)
    if min(int(second.sum()), int((~second).sum())) < least:
        return None
    cosine = _cosine_between(windows, ~second, second)
    if len(windows) < _MANY_WINDOWS:
        return second if cosine < thresholds.same_voice_in_few_windows else None
    if cosine < thresholds.same_voice_in_many_windows:
        return second
    stays = second[1:] == second[:-1]
    inside = np.concatenate([[True], stays]) & np.concatenate([stays, [True]])
    one, two = inside & ~second, inside & second
    if min(int(one.sum()), int(two.sum())) < least // 2:
        return None
    turns = _cosine_between(windows, one, two)
    return second if turns < thresholds.same_voice_in_turns else None


def _cosine_between(windows: Embeddings, one: NDArray[np.bool_], two: NDArray[np.bool_]) -> float:
    return float(mean_embedding(windows[one]) @ mean_embedding(windows[two]))


def _halves(windows: Embeddings) -> NDArray[np.bool_]:
    """Which windows are in the second of the best two halves."""
    centred = windows - windows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    second = centred @ axes[:, -1] > 0
    for _ in range(_ITERATIONS):
        if second.all() or not second.any():
            break
        one, two = mean_embedding(windows[~second]), mean_embedding(windows[second])
        moved = windows @ two > windows @ one
        if (moved == second).all():
            break
        second = moved
    return np.asarray(second, np.bool_)
