"""What an erasure is about, why, who asked, and the steps that carry it out (invariant 6)."""

from __future__ import annotations

from enum import StrEnum


class ErasureGround(StrEnum):
    """Why something is erased: a recorded code (Policy P17, PIPL art. 47)."""

    REQUESTED = "requested"
    ACCOUNT_CLOSED = "account_closed"
    """Policy P07, P18."""
    AVATAR_DELETED = "avatar_deleted"
    """Policy P15."""
    CONSENT_WITHDRAWN = "consent_withdrawn"
    WITHOUT_CONSENT = "without_consent"
    NO_GUARDIAN_CONSENT = "no_guardian_consent"
    """A minor's data whose guardian was not reached (Policy P21)."""
    UNLAWFUL = "unlawful"
    BREACH_OF_AGREEMENT = "breach_of_agreement"
    PURPOSE_ACHIEVED = "purpose_achieved"
    SERVICE_ENDED = "service_ended"
    """Policy P14."""


class Requester(StrEnum):
    """Who asked for an erasure; a role, never a name."""

    PERSON = "person"
    GUARDIAN = "guardian"
    ACCOUNT_SERVICE = "account_service"
    OFFICER = "officer"
    """The privacy officer, on one of the grounds that need no request."""
    HOUSE = "house"
    """A duty that fell due by itself: a withdrawal, a deadline, the end of the service."""


class Step(StrEnum):
    """The steps of an erasure, in order; each may be done again."""

    PLANNED = "planned"
    """Everything concerned is collected, whole, before anything is deleted."""
    FENCED = "fenced"
    """What still ran is stopped, what it wrote is removed, nothing planned can be read."""
    DELETED = "deleted"
    """Every version and marker of every object is gone from the object store."""
    ELSEWHERE = "elsewhere"
    """Scratch folders and the orchestrator's records are gone."""
    SHREDDED = "shredded"
    """The keys are destroyed."""
    REDUCED = "reduced"
    """Rows are tombstones."""
    VERIFIED = "verified"
    """Listing and key-absence found nothing, and an auditor could open nothing."""
    SIGNED = "signed"
    """The receipt is on record."""
