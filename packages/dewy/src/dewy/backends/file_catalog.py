"""The registry at ``file:///path``: a directory with one subdirectory a version, ``<path>/<version>/<artifact>`` (R24)."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dewy.backends.local import fail_as, local_path, utc
from dewy.errors import RegistryError
from dewy.files import NewFile, sweep
from dewy.types import Catalog, ListedFile, ListedVersion
from dewy.urls import BackendURL

__all__ = ["FileCatalog", "open_catalog"]

_UNFINISHED = (".part", ".tmp")
"""Endings of files that somebody is still writing; so are those with a leading dot, as rsync has them."""


class FileCatalog:
    """A directory of versions.

    What begins with a dot, links that lead nowhere and names that are no UTF-8 are passed over. A version counts as
    published when its directory last changed, audit entries aside: so the grace for artifacts that are still to come
    (R28) runs from the last file that came, and covers a directory that is still empty.

    Args:
        directory: Where the versions are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def versions(self) -> list[ListedVersion]:
        """All subdirectories. Raises RegistryError when the directory cannot be read."""
        with fail_as(RegistryError, f"the registry directory {self._directory} cannot be read"):
            return [
                ListedVersion(name, utc(status.st_mtime))
                for name, status in _listing(self._directory)
                if stat.S_ISDIR(status.st_mode)
            ]

    def files(self, version: ListedVersion) -> list[ListedFile]:
        """The plain files of one version. Raises RegistryError when it is gone or cannot be read."""
        directory = self._inside(version.tag)
        with fail_as(RegistryError, f"the version directory {directory} cannot be read"):
            return [
                ListedFile(
                    name,
                    (directory / name).as_uri(),
                    size=status.st_size,
                    fingerprint=f"{status.st_size}-{status.st_mtime_ns}",
                    modified=utc(status.st_mtime),
                )
                for name, status in _listing(directory)
                if stat.S_ISREG(status.st_mode) and not name.endswith(_UNFINISHED)
            ]

    def attach(self, version: ListedVersion, name: str, content: str) -> None:
        """Stores a text file beside a version; one that is there is left. Raises RegistryError."""
        path = self._inside(version.tag, name)
        with fail_as(RegistryError, f"{path} cannot be written"):
            if path.exists():
                return
            published = path.parent.stat().st_mtime_ns
            sweep(path.parent)
            with NewFile(path.parent, mode=0o666) as file:
                file.write(content.encode())
                file.publish(path)
            with suppress(PermissionError):  # only its owner may set it; where that is another user, it counts as changed
                os.utime(path.parent, ns=(time.time_ns(), published))

    def _inside(self, *names: str) -> Path:
        for name in names:
            if not name or "/" in name or "\0" in name or name in (".", ".."):
                raise RegistryError(f"{name!r} is not the name of something in the registry directory {self._directory}")
        return self._directory.joinpath(*names)


def _listing(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What a directory holds, links followed, but for hidden things and names that nobody could write down."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not _is_text(entry.name):
                continue
            try:
                status = entry.stat()
            except OSError:
                continue  # a link that leads nowhere or in a circle, or something that was removed just now
            yield entry.name, status


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def open_catalog(url: BackendURL) -> Catalog:
    """Opens the registry that a URL names. Raises UsageError for a URL it cannot work with."""
    return FileCatalog(local_path(url, "registry"))
