"""The rules for names and link targets out of an archive. Pure: no file system is asked.

Symlinks need no look at the tree to be safe. Each is made in a real directory (the writer never passes through a link), so
``..`` at the start of its target means what it says; and ``..`` further on is refused. What follows are steps down, into
directories of the tree or links under the same rule. So no chain of links, of whatever letter case, leads outside.
"""

from __future__ import annotations

import re

from dewy.archive.members import Refusal

__all__ = ["MAX_DEPTH", "MAX_PATH", "member_path", "symlink_target"]

MAX_PATH = 1024
"""Bytes of a member's path or a link's target. PATH_MAX is 4096 on Linux, 1024 on macOS."""

MAX_DEPTH = 128
"""Directories inside each other. What is deeper cannot be removed by tools that recurse."""

_MAX_NAME = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def member_path(name: str) -> tuple[str, ...]:
    """The parts of a member's path below the release directory; none for the release directory itself.

    Slashes that repeat or end the name, and ``.``, mean nothing.

    Raises:
        Refusal: The path is absolute, has ``..`` or a character that has no place in a name, or is too long or too deep.
    """
    _check_text(name, "path")
    if name.startswith("/"):
        raise Refusal("has an absolute path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise Refusal("has '..' in its path and could lead outside")
    if len(parts) > MAX_DEPTH:
        raise Refusal(f"is nested more than {MAX_DEPTH} directories deep")
    if any(len(part.encode()) > _MAX_NAME for part in parts):
        raise Refusal(f"has a name of more than {_MAX_NAME} bytes in its path")
    return parts


def symlink_target(target: str, depth: int) -> str:
    """The target of a symlink that lies ``depth`` directories below the release directory, as it can be made.

    Raises:
        Refusal: It leads outside the release directory, or is written so that it could.
    """
    _check_text(target, "target")
    if target.startswith("/"):
        raise Refusal(f"is a symlink that leads outside, to the absolute path {target}")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if ups > depth:
        raise Refusal(f"is a symlink that leads outside, to {target}")
    if ".." in parts[ups:]:
        raise Refusal(f"is a symlink to {target}: '..' after a name could lead outside through another link")
    return target


def _check_text(text: str, what: str) -> None:
    if not text:
        raise Refusal(f"has an empty {what}")
    if _CONTROL.search(text):
        raise Refusal(f"has a control character in its {what}")
    if _SURROGATE.search(text):
        raise Refusal(f"has a {what} that is not UTF-8")
    if "\\" in text:
        raise Refusal(f"has a backslash in its {what}")
    if len(text.encode()) > MAX_PATH:
        raise Refusal(f"has a {what} of more than {MAX_PATH} bytes")
