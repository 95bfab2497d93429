"""Who the people are: from a caller's own id to a random id, by keyed pseudonym (Policy P25)."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from models.schema.errors import BadUsage, NotFound
from storage.catalogue import people
from storage.catalogue.people import Subject
from storage.foundation import Foundation
from storage.identifiers import random_id

_EXTERNAL_CHARACTERS_MOST = 512


class Subjects:
    """Finds data subjects and accounts, and records new ones with their keys."""

    def __init__(self, base: Foundation) -> None:
        self._catalogue = base.catalogue
        self._vault = base.vault
        self._region = base.gate.region
        self._clock = base.clock

    def known(self, external_id: str) -> Subject:
        """The subject; raises NotFound, without echoing the id."""
        pseudonym = self._vault.pseudonym("subject", _checked(external_id, "subject"))
        with self._catalogue.reading() as connection:
            subject = people.subject_by_pseudonym(connection, pseudonym)
        if subject is None:
            raise NotFound(
                "Nothing is held about this person.",
                remedy="Check the id given as --subject; a person becomes known with "
                "their first upload or consent.",
            )
        return subject

    def ensure(self, external_id: str, *, account: str | None) -> str:
        """The subject's random id, recorded with a key of their own where it is new.

        Raises BadUsage when the subject already belongs to another account.
        """
        pseudonym = self._vault.pseudonym("subject", _checked(external_id, "subject"))
        account_id = self._ensure_account(account) if account is not None else None
        with self._catalogue.reading() as connection:
            subject = people.subject_by_pseudonym(connection, pseudonym)
        if subject is None:
            subject = Subject(id=random_id(), account_id=account_id, region=self._region)
            # The key comes first: a subject without one could not keep anything.
            self._vault.new_scope_key(subject.id)
            try:
                with self._catalogue.writing() as writing:
                    people.add_subject(
                        writing.connection, subject, pseudonym=pseudonym, created_at=self._clock()
                    )
            except IntegrityError:
                self._vault.destroy_scope_keys(subject.id)
                return self.ensure(external_id, account=account)
        elif account_id is not None and subject.account_id != account_id:
            return self._join(subject, account_id)
        return subject.id

    def _join(self, subject: Subject, account_id: str) -> str:
        if subject.account_id is not None:
            raise BadUsage(
                "This person already belongs to another account.",
                remedy="Upload under the account that the person belongs to.",
            )
        with self._catalogue.writing() as writing:
            people.join_account(writing.connection, subject.id, account_id)
        return subject.id

    def _ensure_account(self, external_id: str) -> str:
        pseudonym = self._vault.pseudonym("account", _checked(external_id, "account"))
        with self._catalogue.reading() as connection:
            account_id = people.account_by_pseudonym(connection, pseudonym)
        if account_id is not None:
            return account_id
        account_id = random_id()
        try:
            with self._catalogue.writing() as writing:
                people.add_account(
                    writing.connection,
                    account_id,
                    pseudonym=pseudonym,
                    created_at=self._clock(),
                )
        except IntegrityError:
            return self._ensure_account(external_id)
        return account_id


def _checked(external_id: str, what: str) -> str:
    if not external_id.strip() or len(external_id) > _EXTERNAL_CHARACTERS_MOST:
        raise BadUsage(
            f"The id of the {what} is empty or longer than {_EXTERNAL_CHARACTERS_MOST} characters.",
            remedy=f"Give the caller's own id of the {what}.",
        )
    return external_id
