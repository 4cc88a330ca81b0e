"""What an archive's readers hand to the writer, whatever the format, and how either of them says no. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DIRECTORY", "FILE", "HARDLINK", "SYMLINK", "Limits", "Member", "Refusal", "quoted"]

FILE = "a file"
DIRECTORY = "a directory"
SYMLINK = "a symlink"
HARDLINK = "a hard link"

_LONGEST_QUOTE = 80


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may unpack to.

    Attributes:
        max_bytes: The sum of its files' sizes, in bytes.
        max_members: Its members, and likewise the directories they imply.
    """

    max_bytes: int = 10 << 30
    max_members: int = 100_000

    def check(self, members: int, size: int) -> None:
        """Raises Refusal when that many members or bytes are too many."""
        if members > self.max_members:
            raise Refusal(f"goes beyond the limit of {self.max_members} members", "Raise max-members if it is meant so")
        if size > self.max_bytes:
            raise Refusal(f"goes beyond the limit of {self.max_bytes} bytes unpacked", "Raise max-size if it is meant so")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive, as the archive states it: nothing here is checked yet.

    Attributes:
        name: Its path, ``/`` between the parts. Bytes that are not UTF-8 are surrogate escapes.
        kind: ``FILE``, ``DIRECTORY``, ``SYMLINK``, ``HARDLINK``, or words for what else it is ("a device").
        mode: Its permission bits.
        size: Of its content, in bytes; 0 for all but files.
        target: Where a link leads: seen from its directory for a symlink, from the archive's root for a hard link.
        modified: Seconds since 1970 UTC; None when not stated.
        content: The bytes of a file in pieces, read from the archive as they are asked for. To be used up before the
            next member is asked for; raises Refusal when they are damaged.
    """

    name: str
    kind: str = FILE
    mode: int = 0o644
    size: int = 0
    target: str = ""
    modified: int | None = None
    content: Iterable[bytes] = ()


class Refusal(Exception):
    """Why an archive is not unpacked.

    Args:
        reason: What is wrong with the member or the archive, to be read after its name: "is a device".
        hint: What to do about it; empty for "publish another".
        member: The member's name; None when it is the archive as a whole, or for the caller to fill in.
    """

    def __init__(self, reason: str, hint: str = "", *, member: str | None = None) -> None:
        super().__init__(reason, hint, member)
        self.reason = reason
        self.hint = hint
        self.member = member


def quoted(name: str) -> str:
    """A name out of an archive, made fit for a log: quoted, unprintable characters escaped, shortened in its middle."""
    if len(name) > _LONGEST_QUOTE:
        half = _LONGEST_QUOTE // 2
        name = f"{name[:half]}…{name[-half:]}"
    return repr(name)
