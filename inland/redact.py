"""Redaction: what a clip's pictures must lose before anyone looks at them.

Today an identity step, which leaves every picture and so every data class in place: it removes nothing, and
says so by changing no class. What makes it more gives its output a new ``REVISION``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inland.clip import EncodedFrame

REVISION = 1
"""The revision of a clip's pixels."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A clip's pictures as they may be kept, and the data classes that are (still) in them."""

    frames: Mapping[str, Sequence[EncodedFrame]]
    classes: tuple[str, ...]
    revision: int = REVISION


def redact(frames: Mapping[str, Sequence[EncodedFrame]], classes: tuple[str, ...]) -> Redacted:
    """The pictures of one clip, by camera, unchanged; the classes too: nothing was treated."""
    return Redacted(frames=frames, classes=classes)
