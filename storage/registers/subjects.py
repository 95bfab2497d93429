"""Who the people are: from a caller's own id to a random id, by keyed pseudonym (Policy P25)."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.consent.facts import Event
from models.schema.errors import BadUsage, LikenessError, NotFound, Refused
from storage.catalogue import people
from storage.catalogue.freezes import Scope, freezes_in
from storage.catalogue.people import Subject
from storage.database import Writing
from storage.foundation import Foundation
from storage.freezing import ERASURE_ORDERED
from storage.identifiers import random_id
from storage.recorded_erasures import RecordedErasures, Suppression

_EXTERNAL_CHARACTERS_MOST = 512


class Subjects:
    """Finds data subjects and accounts, and records new ones with their keys."""

    def __init__(self, base: Foundation) -> None:
        self._catalogue = base.catalogue
        self._vault = base.vault
        self._ledger = base.ledger
        self._recorded = RecordedErasures(base.keys.database)
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

        A person who was erased begins with a refusal of every purpose: nothing of theirs is used
        again before they agree explicitly. Raises BadUsage when the subject already belongs to
        another account, Refused for an account that was closed.
        """
        pseudonym = self._vault.pseudonym("subject", _checked(external_id, "subject"))
        account_id = self.ensure_account(account) if account is not None else None
        with self._catalogue.reading() as connection:
            subject = people.subject_by_pseudonym(connection, pseudonym)
        if subject is None:
            subject = Subject(id=random_id(), account_id=account_id, region=self._region)
            erased = self._suppression("subject", pseudonym)
            # The key comes first: a subject without one could not keep anything.
            self._vault.new_scope_key(subject.id)
            try:
                with self._catalogue.writing() as writing:
                    if account_id is not None:
                        _require_open(writing.connection, account_id)
                    people.add_subject(
                        writing.connection, subject, pseudonym=pseudonym, created_at=self._clock()
                    )
                    if erased is not None:
                        self._refuse(writing, subject.id, erased)
            except IntegrityError:
                self._vault.destroy_scope_keys(subject.id)
                return self.ensure(external_id, account=account)
            except LikenessError:
                self._vault.destroy_scope_keys(subject.id)
                raise
        elif account_id is not None and subject.account_id != account_id:
            return self._join(subject, account_id)
        return subject.id

    def _refuse(self, writing: Writing, subject_id: str, erased: Suppression) -> None:
        for purpose in sorted(erased.purposes):
            payload = {
                "subject": subject_id,
                "purpose": purpose.value,
                "acted_at": erased.since.isoformat(),
                "order": erased.order_id,
            }
            self._ledger.append(writing, Event.REFUSAL.value, payload, subject_id=subject_id)

    def _suppression(self, kind: str, pseudonym: str) -> Suppression | None:
        return self._recorded.suppression(self._vault.suppression_digest(kind, pseudonym))

    def _join(self, subject: Subject, account_id: str) -> str:
        if subject.account_id is not None:
            raise BadUsage(
                "This person already belongs to another account.",
                remedy="Upload under the account that the person belongs to.",
            )
        with self._catalogue.writing() as writing:
            _require_open(writing.connection, account_id)
            people.join_account(writing.connection, subject.id, account_id)
        return subject.id

    def ensure_account(self, external_id: str) -> str:
        """The account's random id, recorded where it is new; raises Refused for a closed one."""
        pseudonym = self._vault.pseudonym("account", _checked(external_id, "account"))
        if self._suppression("account", pseudonym) is not None:
            raise _closed()
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
            return self.ensure_account(external_id)
        return account_id


def _require_open(connection: Connection, account_id: str) -> None:
    """Hold the account's row and raise Refused where it is closed: nobody joins it any more."""
    people.lock_account(connection, account_id, exclusively=False)
    in_force = freezes_in(connection, [(Scope.ACCOUNT, account_id)])
    if any(freeze.purpose is None and freeze.cause == ERASURE_ORDERED for freeze in in_force):
        raise _closed()


def _closed() -> Refused:
    return Refused(
        "This account was closed; closing is final and nothing of it can be brought back.",
        remedy="Open a new account; whoever comes with it agrees anew (Policy P18).",
        code="account_closed",
    )


def _checked(external_id: str, what: str) -> str:
    if not external_id.strip() or len(external_id) > _EXTERNAL_CHARACTERS_MOST:
        raise BadUsage(
            f"The id of the {what} is empty or longer than {_EXTERNAL_CHARACTERS_MOST} characters.",
            remedy=f"Give the caller's own id of the {what}.",
        )
    return external_id
