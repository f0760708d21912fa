"""Every error that Inland raises on purpose.

    InlandError
    ├── BadInput            something a person gave us is wrong: names the file, the place and the remedy
    │   ├── LogRejected     one log that goes to quarantine; the rest goes on
    │   └── PackError       a policy pack that does not parse, contradicts itself or lacks a source
    ├── SiteError           no site here, or a site of another revision
    │   └── SiteBusy        another process holds the site's writing lock
    ├── StorageError        a store would not take or give bytes
    │   ├── NotStored       no object of that name
    │   └── NoSpace         the disk is full; nothing half-written was left behind
    ├── BorderError         anything that the border refuses or finds wrong
    │   ├── CrossingRefused deny by default; carries the rules that decided and what is needed
    │   ├── RoleRefused     the actor's role may not do this
    │   ├── LedgerFault     the ledger does not verify
    │   └── SignatureInvalid a signature or digest does not match
    ├── WorldError          the simulator or the camera cannot run here
    └── TrainingError       training or export cannot go on

Each message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations


class InlandError(Exception):
    """Base of every deliberate error. ``place`` and ``remedy`` are shown on lines of their own.

    ``so_far`` is the result of what a station had finished before it, where it can say.
    """

    so_far: object = None

    def __init__(self, message: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.message]
        if self.place:
            parts.append(f"  where: {self.place}")
        if self.remedy:
            parts.append(f"  remedy: {self.remedy}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries (spread.map); keyword arguments must survive pickling.
        return (_rebuild, (type(self), self.message, self.place, self.remedy, self.__dict__))


def _rebuild(kind: type[InlandError], message: str, place: str, remedy: str, state: dict[str, object]) -> InlandError:
    error = kind.__new__(kind)
    InlandError.__init__(error, message, place=place, remedy=remedy)
    error.__dict__.update(state)
    return error


class BadInput(InlandError):
    """Something a person gave us is wrong."""


class LogRejected(BadInput):
    """One log that goes to quarantine. ``reason`` is a short stable name such as ``implausible clock``."""

    def __init__(self, reason: str, message: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason, place=place, remedy=remedy)
        self.reason = reason


class PackError(BadInput):
    """A policy pack is not fit to decide by; ``place`` names its file and line."""


class SiteError(InlandError):
    """No site here, or a site of another revision."""


class SiteBusy(SiteError):
    """Another process holds the site's writing lock."""


class StorageError(InlandError):
    """A store would not take or give bytes."""


class NotStored(StorageError):
    """No object of that name."""


class NoSpace(StorageError):
    """The disk is full; nothing half-written was left behind."""


class BorderError(InlandError):
    """Anything that the border refuses or finds wrong."""


class CrossingRefused(BorderError):
    """The border said no. ``rules`` are the rules that decided, ``needed`` what would be needed."""

    def __init__(self, message: str, *, rules: tuple[str, ...], needed: tuple[str, ...] = ()) -> None:
        super().__init__(message, place=", ".join(rules), remedy="; ".join(needed))
        self.rules = rules
        self.needed = needed


class RoleRefused(BorderError):
    """The actor's role may not do this."""


class LedgerFault(BorderError):
    """The ledger does not verify."""


class SignatureInvalid(BorderError):
    """A signature or a digest does not match what was signed."""


class WorldError(InlandError):
    """The simulator or the camera cannot run here."""


class TrainingError(InlandError):
    """Training or export cannot go on."""
