"""Avatars: a person's clone and human, under the name that the person gave it."""

from __future__ import annotations

from typing import Final

from models.schema.errors import BadUsage, LimitExceeded, NotFound
from storage.catalogue import avatars, people
from storage.catalogue.avatars import Avatar
from storage.foundation import Foundation
from storage.identifiers import checked_id, random_id
from storage.registers.subjects import Subjects

AVATAR_CREATED: Final = "avatar_created"
NAME_CHARACTERS_MOST: Final = 200


class Avatars:
    """The register of avatars; what was trained for one stands in the register of artefacts."""

    def __init__(self, base: Foundation, *, subjects: Subjects) -> None:
        self._catalogue = base.catalogue
        self._keys = base.keys
        self._vault = base.vault
        self._ledger = base.ledger
        self._gate = base.gate
        self._subjects = subjects
        self._clock = base.clock

    def create(self, external_subject: str, name: str) -> Avatar:
        """Record a new avatar of a known person; its name is kept sealed.

        Grants nothing: what is trained for it asks the gate. Raises BadUsage or LimitExceeded for
        the name, NotFound for an unknown person, Frozen while all use of their data is stopped.
        """
        if not name.strip():
            raise BadUsage("The avatar has no name.", remedy="Give it one with --name.")
        if len(name) > NAME_CHARACTERS_MOST:
            raise LimitExceeded(
                f"The name is longer than {NAME_CHARACTERS_MOST} characters.",
                remedy="Give the avatar a shorter name.",
            )
        if not name.isprintable():
            raise BadUsage(
                "The name holds characters that cannot be shown.",
                remedy="Use letters, digits, punctuation and spaces.",
            )
        subject, avatar_id = self._subjects.known(external_subject), random_id()
        sealed = self._vault.seal_column(
            subject.id, name.encode("utf-8"), context=_context(avatar_id)
        )
        avatar = Avatar(avatar_id, subject.id, sealed, self._clock())
        with self._gate.current(self._catalogue, self._keys) as writing:
            people.lock(writing.connection, subject.id, exclusively=False)
            self._gate.require_unfrozen(
                writing.connection, subject_id=subject.id, upload_id=None, basis={}
            )
            avatars.add_avatar(writing.connection, avatar)
            self._ledger.append(
                writing,
                AVATAR_CREATED,
                {"avatar": avatar_id, "subject": subject.id},
                subject_id=subject.id,
            )
        return avatar

    def by_id(self, avatar_id: str) -> Avatar:
        """The avatar; raises NotFound once it is erased, or BadUsage."""
        with self._catalogue.reading() as connection:
            avatar = avatars.avatar_by_id(connection, checked_id(avatar_id, what="avatar"))
        if avatar is None or avatar.erased_at is not None:
            raise NotFound(
                "There is no avatar with this id.", remedy="`likeness avatar list` shows them."
            )
        return avatar

    def of(self, external_subject: str) -> list[Avatar]:
        """A person's avatars, oldest first; raises NotFound for an unknown person."""
        return self.of_subject(self._subjects.known(external_subject).id)

    def of_subject(self, subject_id: str) -> list[Avatar]:
        """A person's avatars, oldest first."""
        with self._catalogue.reading() as connection:
            return avatars.avatars_of(connection, subject_id)

    def all(self) -> list[Avatar]:
        """Every avatar that is not erased, oldest first."""
        with self._catalogue.reading() as connection:
            return avatars.all_avatars(connection)

    def name(self, avatar: Avatar) -> str:
        """Its name, for people's eyes; raises KeyDestroyed once it is erased."""
        plain = self._vault.unseal_column(avatar.name_sealed or b"", context=_context(avatar.id))
        return plain.decode("utf-8")


def _context(avatar_id: str) -> str:
    return f"avatar:{avatar_id}:name"
