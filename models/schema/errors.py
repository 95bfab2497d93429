"""The one exception hierarchy of the house.

LikenessError                 exit 1   a fault of ours
├── BadInput                  exit 2   what was given cannot be used
│   ├── BadUsage                       the command or call itself is wrong
│   ├── UnsupportedMedia               a type of file that is not admitted
│   ├── BrokenMedia                    a file that cannot be decoded
│   ├── LimitExceeded                  too long, too large, too short, too many pixels
│   └── NotFound                       an id that names nothing here
├── Refused                   exit 3   consent, policy or a hold says no
│   ├── ConsentRefused                 no valid consent for the use
│   ├── Frozen                         a freeze covers the object
│   └── RoleRefused                    the role may not do this to this kind
├── ServiceUnavailable        exit 4   a service that is needed does not answer
├── CheckFailed               exit 5   a check found something wrong
│   └── Tampered                       bytes or entries that are not what was written
├── FenceLost                 exit 1   another run took over, or this one was stopped
├── KeyDestroyed              exit 3   the key of an erased object
├── DoorShut                  exit 1   the catalogue is older than the key store; reconcile first
├── WeightsMissing            exit 1   a pretrained file is not pulled
├── ToolMissing               exit 1   ffmpeg or another program is not installed
└── EngineFailed              exit 1   an engine crashed, hung, or gave what its contract forbids

Messages never hold file names, names of people, or what a file contains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class LikenessError(Exception):
    """A failure with a code for programs, a message for people, and what to do about it.

    `message` says what was wrong, with which input; `remedy` says what to do.
    """

    code: ClassVar[str] = "fault"
    exit_code: ClassVar[int] = 1
    default_remedy: ClassVar[str] = "Run the command again; if it fails again, report this message."

    def __init__(self, message: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy if remedy is not None else self.default_remedy
        self.reason = code if code is not None else self.code

    def __str__(self) -> str:
        return self.message


class BadInput(LikenessError):
    """What was given cannot be used; the same input will fail again."""

    code = "bad_input"
    exit_code = 2
    default_remedy = "Correct the input and try again."


class BadUsage(BadInput):
    """The command or call itself is wrong."""

    code = "bad_usage"


class UnsupportedMedia(BadInput):
    """A type of file that is not admitted."""

    code = "unsupported_media"
    default_remedy = (
        "Upload sound as wav, flac, mp3, m4a, ogg, opus, webm, aiff or 3gp, "
        "or video as mp4, mov, mkv, webm or avi."
    )


class BrokenMedia(BadInput):
    """A file that cannot be decoded."""

    code = "broken_media"
    default_remedy = "Export the recording again, play it to the end, and upload that file."


class LimitExceeded(BadInput):
    """Too long, too large, too short, too many pixels."""

    code = "limit_exceeded"


class NotFound(BadInput):
    """An id that names nothing here."""

    code = "not_found"
    default_remedy = "Check the id; `likeness upload list` shows what is held."


class Refused(LikenessError):
    """Consent, policy or a hold says no."""

    code = "refused"
    exit_code = 3
    default_remedy = "`likeness consent show` says what is allowed and why."


class ConsentRefused(Refused):
    """No valid consent for the use; `reasons` has a code and a sentence for each."""

    code = "consent_refused"

    def __init__(self, message: str, *, reasons: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(message)
        self.reasons = [dict(reason) for reason in reasons]


class Frozen(Refused):
    """A freeze covers the object."""

    code = "frozen"
    default_remedy = (
        "All use is stopped until the freeze is lifted or the erasure has run; "
        "`likeness subject show` lists what is owed."
    )


class RoleRefused(Refused):
    """The role may not do this to this kind of object."""

    code = "role_refused"


class KeyDestroyed(Refused):
    """The key of this object was destroyed; nobody can read it any more."""

    code = "key_destroyed"
    default_remedy = "The object was erased. There is nothing to do."


class ServiceUnavailable(LikenessError):
    """A service that is needed does not answer."""

    code = "service_unavailable"
    exit_code = 4
    default_remedy = "Start the service or correct its address; `likeness doctor` says which."


class CheckFailed(LikenessError):
    """A check found something wrong."""

    code = "check_failed"
    exit_code = 5


class Tampered(CheckFailed):
    """Bytes or entries that are not what was written."""

    code = "tampered"
    default_remedy = "Restore the object from the store's own history, and look for who changed it."


class FenceLost(LikenessError):
    """Another run took over this work, or it was stopped; nothing of this run was kept."""

    code = "fence_lost"


class DoorShut(LikenessError):
    """The catalogue is older than what the key store recorded; reconcile first."""

    code = "door_shut"
    default_remedy = (
        "Run `likeness reconcile`; it applies again what the restored catalogue forgot."
    )


class WeightsMissing(LikenessError):
    """A pretrained file is not pulled, or its digest is wrong."""

    code = "weights_missing"
    default_remedy = "Run `likeness weights pull`."


class ToolMissing(LikenessError):
    """A program that is needed is not installed."""

    code = "tool_missing"
    default_remedy = "Run `likeness doctor`; it says what to install and how."


class EngineFailed(LikenessError):
    """An engine crashed, hung, or gave what its contract forbids; nothing of the run was kept."""

    code = "engine_failed"
    default_remedy = (
        "Run it again; if it fails again, choose another engine or report it to whoever made it."
    )
