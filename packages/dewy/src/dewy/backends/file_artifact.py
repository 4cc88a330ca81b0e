"""The artifact at ``file:///path``: one file of this host, or of a network file system that it mounts (R32)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from dewy.backends.local import PIECE, fail_as, local_path, open_plain
from dewy.errors import ArtifactError
from dewy.types import Artifact, Stated
from dewy.urls import BackendURL

__all__ = ["FileArtifact", "open_artifact"]


class FileArtifact:
    """One file.

    Args:
        path: Where it is; a symbolic link is followed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def download(self, to: BinaryIO) -> Stated:
        """Copies the file into ``to``. Raises ArtifactError when it is no plain file, or changes while it is read."""
        with fail_as(ArtifactError, f"the artifact {self._path} cannot be opened"):
            fd = open_plain(self._path, follow=True)
        try:
            return self._copy(fd, to)
        finally:
            os.close(fd)

    def _copy(self, fd: int, to: BinaryIO) -> Stated:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise ArtifactError(f"the artifact {self._path} is not a plain file", "Name a file, not a directory or a device")
        size = 0
        while piece := self._read(fd):
            to.write(piece)
            size += len(piece)
        after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != before.st_size:
            raise ArtifactError(
                f"the artifact {self._path} changed while it was read",
                "Write it under another name and rename it when it is complete",
            )
        return Stated(size)

    def _read(self, fd: int) -> bytes:
        with fail_as(ArtifactError, f"the artifact {self._path} cannot be read"):
            return os.read(fd, PIECE)


def open_artifact(url: BackendURL) -> Artifact:
    """Opens the artifact that a URL names. Raises UsageError for a URL it cannot work with."""
    return FileArtifact(local_path(url, "artifact"))
