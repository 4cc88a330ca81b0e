"""Finding the program that a command line names, to say clearly why it cannot be run before a shell says it darkly."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dewy.errors import StartError
from dewy.supervisor.launch import Launch

__all__ = ["check_program"]

_DEFAULT_PATH = os.defpath
"""Where programs are looked up when the environment has no ``PATH``."""
_LONGEST_SHEBANG = 256
"""Bytes of an interpreter line that Linux reads (``BINPRM_BUF_SIZE``)."""


def check_program(launch: Launch) -> None:
    """Looks whether the program can be run.

    Raises:
        StartError: It cannot; says why.
    """
    name = launch.argv[0]
    if not launch.directory.is_dir():
        raise StartError(f"cannot start {name}: the working directory {launch.directory} is not there")
    if not name:
        raise StartError("cannot start the application: its command is empty")
    program = launch.directory / name if "/" in name else _look_up(launch)
    reason = _why_not(program)
    if reason:
        raise StartError(f"cannot start {name}: {reason}", _hint(program))
    _check_interpreter(launch, program)


def _look_up(launch: Launch) -> Path:
    name, path = launch.argv[0], launch.environ.get("PATH", _DEFAULT_PATH)
    for program in _candidates(launch.directory, path, name):
        if not _why_not(program):
            return program
    here = launch.directory / name
    raise StartError(
        f"cannot start {name}: there is no such program in PATH ({path})",
        f"Write ./{name} for the one in {launch.directory}" if here.is_file() else "",
    )


def _candidates(directory: Path, path: str, name: str) -> Iterator[Path]:
    for entry in path.split(os.pathsep):
        yield directory / entry / name  # an absolute entry replaces the directory


def _why_not(program: Path) -> str:
    """Why a file cannot be executed; empty if it can."""
    try:
        mode = program.stat().st_mode
    except FileNotFoundError:
        return f"{program} does not exist"
    except OSError as error:
        return f"{program}: {error.strerror}"
    if stat.S_ISDIR(mode):
        return f"{program} is a directory"
    if not stat.S_ISREG(mode):
        return f"{program} is no regular file"
    if not os.access(program, os.X_OK):
        return f"{program} is not executable for this user"
    return ""


def _hint(program: Path) -> str:
    if program.is_dir():
        return "Name the program in it"
    if program.is_file():
        return f"`chmod +x {program}` makes it so; in a release, set the mode before it is packed"
    return ""


def _check_interpreter(launch: Launch, program: Path) -> None:
    """Looks at the ``#!`` line: a missing interpreter is reported by every shell as if the script were missing."""
    try:
        with program.open("rb") as file:
            head = file.read(_LONGEST_SHEBANG)
    except OSError:
        return  # executable and not readable is allowed
    if not head.startswith(b"#!"):
        return
    line = head[2:].split(b"\n", 1)[0].replace(b"\t", b" ").strip(b" ")  # a CR is a part of the name, as for the kernel
    if not line:
        return
    interpreter = launch.directory / os.fsdecode(line.split(b" ", 1)[0])
    reason = _why_not(interpreter)
    if reason:
        raise StartError(
            f"cannot start {launch.argv[0]}: its interpreter cannot be run: {reason}",
            "Its first line ends in CR LF: write the script with plain line ends"
            if head.split(b"\n", 1)[0].endswith(b"\r")
            else f"The first line of {program} names it",
        )
