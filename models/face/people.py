"""Who is who: tracks of one person are joined by identity, and people are counted.

Someone counts as a person of the recording, rather than as background, by time and size: in each
shot the *subject* is the face with the most time times height; another face of the shot counts
when it is not far smaller. A poster or a colleague at the back is smaller, a passer-by is brief.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.face.identity import IdentityEncoder
from models.face.identity_threshold import identity_distance
from models.face.segments import IdentityCrop, SegmentBuilder
from models.face.series import BestApart, BestOverTime, SparseSeries
from models.face.settings import FaceSettings

SERIES = ("yaw", "pitch", "roll", "mouth_opening", "height", "sharpness", "exposure")
"""Columns of a person's series."""

_EMBEDDINGS_ENOUGH = 2
"""After so many, a person is embedded only at intervals."""

_REJOIN_SECONDS = 2.0
"""A face that cannot be recognised, in the place of one lost this recently, is the same one."""


@dataclass
class Person:
    """One person of the recording; `number` is what segments call their track."""

    number: int
    series: SparseSeries = field(default_factory=lambda: SparseSeries(len(SERIES)))
    strip: BestOverTime = field(default_factory=lambda: BestOverTime(16, 1.0))
    portraits: BestApart = field(default_factory=lambda: BestApart(5, 1.0))
    embedding: NDArray[np.float32] | None = None
    embeddings: int = 0
    embedded_at: float = -math.inf
    seconds: float = 0.0
    counted_seconds: float = 0.0
    """In shots where this person is the subject or not far smaller."""
    subject_seconds: float = 0.0
    beside_seconds: float = 0.0
    """Together with another face."""
    last_seen: float = -math.inf
    last_box: tuple[float, float, float, float] = (0, 0, 0, 0)
    shot_seconds: float = 0.0
    shot_height_seconds: float = 0.0

    def learn(self, embedding: NDArray[np.float32], time_seconds: float) -> None:
        """Move the mean embedding."""
        self.embeddings += 1
        if self.embedding is None:
            self.embedding = embedding
        else:
            step = (embedding - self.embedding) / self.embeddings
            self.embedding = (self.embedding + step).astype(np.float32)
        self.embedded_at = time_seconds

    def add(self, segment: SegmentBuilder) -> None:
        """Count a finished segment as this person's."""
        for row in segment.measures:
            self.series.add(
                row.order,
                (*row.pose, row.mouth_opening, row.box[3], row.sharpness, row.exposure),
            )
            self.shot_height_seconds += row.box[3] * row.seconds
            self.beside_seconds += row.seconds if row.beside else 0.0
        seconds = segment.seconds
        self.seconds += seconds
        self.shot_seconds += seconds
        for sample in segment.samples:
            self.strip.add(sample)
            self.portraits.add(sample)
        self.last_seen = segment.measures[-1].time_seconds
        self.last_box = segment.measures[-1].box


class People:
    """Everyone seen in one recording."""

    def __init__(self, identity: IdentityEncoder, settings: FaceSettings) -> None:
        self._identity = identity
        self._settings = settings
        self._people: list[Person] = []
        self._of_track: dict[int, Person] = {}

    def assign(self, segment: SegmentBuilder) -> Person:
        """The person of a finished segment, whose statistics then include it."""
        time_seconds = segment.measures[0].time_seconds
        person = self._of_track.get(segment.track)
        if person is None or self._is_due(person, time_seconds):
            for crop in self._crops(segment, person):
                before, embedding = person, self._identity.encode(crop.image)
                person = self._recognised(embedding, person)
                person.learn(embedding, time_seconds)
                if before is not None and before is not person:
                    # The face changed on the way, as in a dissolve: both were subjects.
                    before.subject_seconds += segment.seconds / 2
        if person is None:
            person = self._rejoined(segment) or self._new_person()
        self._of_track[segment.track] = person
        person.add(segment)
        return person

    def _crops(self, segment: SegmentBuilder, person: Person | None) -> list[IdentityCrop]:
        crops = [crop for _, crop in sorted(segment.identity_crops.items())]
        known = person is not None and person.embeddings >= _EMBEDDINGS_ENOUGH
        return crops[-1:] if known else crops

    def forget_track(self, track: int) -> None:
        """A track has ended; its number never comes back."""
        self._of_track.pop(track, None)

    def _is_due(self, person: Person, time_seconds: float) -> bool:
        return (
            person.embeddings < _EMBEDDINGS_ENOUGH
            or time_seconds - person.embedded_at >= self._settings.identity_interval_seconds
        )

    def _recognised(self, embedding: NDArray[np.float32], followed: Person | None) -> Person:
        known = [
            (identity_distance(person.embedding, embedding), person)
            for person in self._people
            if person.embedding is not None
        ]
        distance, nearest = min(known, key=lambda pair: pair[0], default=(math.inf, None))
        if nearest is not None and distance < self._identity.distance_threshold:
            return nearest
        if followed is not None and followed.embedding is None:
            return followed
        return self._new_person()

    def _rejoined(self, segment: SegmentBuilder) -> Person | None:
        first = segment.measures[0]
        x, y, width, height = first.box
        for person in self._people:
            seen_x, seen_y, seen_width, seen_height = person.last_box
            near = abs(x + width / 2 - seen_x - seen_width / 2) < max(width, seen_width) and (
                abs(y + height / 2 - seen_y - seen_height / 2) < max(height, seen_height)
            )
            if near and 0 <= first.time_seconds - person.last_seen <= _REJOIN_SECONDS:
                return person
        return None

    def _new_person(self) -> Person:
        if len(self._people) >= self._settings.people_most:
            return self._people[-1]
        self._people.append(Person(number=len(self._people)))
        return self._people[-1]

    def end_shot(self) -> None:
        """A cut: settle who was the subject of the shot and who counted beside them."""
        seen = [person for person in self._people if person.shot_seconds > 0]
        if not seen:
            return
        subject = max(seen, key=lambda person: person.shot_height_seconds)
        subject_height = subject.shot_height_seconds / subject.shot_seconds
        subject.subject_seconds += subject.shot_seconds
        for person in seen:
            height = person.shot_height_seconds / person.shot_seconds
            if height >= self._settings.background_ratio * subject_height:
                person.counted_seconds += person.shot_seconds
            person.shot_seconds = person.shot_height_seconds = 0.0

    def counted(self) -> list[Person]:
        """Those who count, the main person first; at least one where any face was seen."""
        ordered = sorted(self._people, key=lambda p: (-p.counted_seconds, p.number))
        total = sum(person.seconds for person in ordered)
        return [
            person for at, person in enumerate(ordered) if at == 0 or self._counts(person, total)
        ]

    def _counts(self, person: Person, total_seconds: float) -> bool:
        settings = self._settings
        enough = min(settings.second_person_seconds, settings.second_person_share * total_seconds)
        if person.embedding is None:
            # A face nobody can recognise is another person only where both are in the picture.
            return min(person.beside_seconds, person.counted_seconds) >= enough
        return (
            person.counted_seconds >= enough
            or person.subject_seconds >= settings.second_subject_seconds
        )
