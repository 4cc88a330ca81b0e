"""Disks as tests need them: full, forbidden, looked at."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def names_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@contextmanager
def as_nobody(mode: int) -> Iterator[Path]:
    """A directory with these permissions, and this process without root's rights while the block runs."""
    path, me = Path(tempfile.mkdtemp()), os.geteuid()
    if me == 0:
        os.chown(path, 65534, -1)
    path.chmod(mode)
    try:
        if me == 0:
            os.seteuid(65534)
        yield path
    finally:
        os.seteuid(me)
        path.rmdir()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond this: the nearest to a full disk that needs no rights."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
