"""Release directories and the ``current`` symlink (section 7).

``releases/<UTC time>/`` is always complete: a release is unpacked beside it under a hidden name and renamed, and renamed
away before it is removed. ``current`` is a symlink, replaced by one rename.
"""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dewy.errors import DewyError
from dewy.files import sync_directory, sync_file_system

__all__ = ["ReleaseDirectories"]

_NAME = "%Y%m%dT%H%M%SZ"
_INCOMING = ".incoming-"
_REMOVING = ".removing-"
_NEXT = ".current.next"
_SPARES = Path(".dewy") / "links"


class ReleaseDirectories:
    """The release directories of one root. All methods raise OSError when the disk does not do as asked.

    Attributes:
        root: The application's root directory.
        folder: ``<root>/releases``.
        link: ``<root>/current``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "releases"
        self.link = root / "current"
        self._last: datetime | None = None

    def prepare(self) -> None:
        """Makes the folder, takes away what a killed dewy left half done, and looks whether ``current`` is ours.

        Raises DewyError when ``current`` is something that dewy did not make.
        """
        self.folder.mkdir(exist_ok=True)
        if self.link.exists() and not self.link.is_symlink():
            raise DewyError(
                f"{self.link} is not a symlink", "dewy makes it one that leads to the release: move what is there away"
            )
        (self.root / _NEXT).unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.name.startswith((_INCOMING, _REMOVING)):
                shutil.rmtree(path)
        for spare in (self.root / _SPARES).glob("*"):
            if not self.has(spare.name):
                spare.unlink(missing_ok=True)

    def new_name(self, now: datetime, after: str = "") -> str:
        """A name for the next release: its time, but later than every one there is or was, whatever the clock says.

        Args:
            now: The time.
            after: The last name that was given, by a dewy before this one say; empty for none.
        """
        names = [after, *(path.name for path in self.folder.iterdir())]
        there = [time for name in names if (time := _stamp(name))]
        given = [self._last] if self._last else []
        self._last = max([now, *(time + timedelta(seconds=1) for time in (*there, *given))])
        return _name(self._last)

    def path(self, name: str) -> Path:
        """Where a release is, or will be."""
        return self.folder / name

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator[Path]:
        """A path to unpack a release at. When the block ends well, the release is there under its name; else nothing is.

        All its bytes are on the disk before its name is: also a power cut leaves no half release.
        """
        incoming = self.folder / f"{_INCOMING}{name}"
        self.folder.mkdir(exist_ok=True)
        try:
            yield incoming
            sync_file_system(incoming)
            incoming.rename(self.path(name))
        except BaseException:
            with contextlib.suppress(OSError):  # the next start takes it away
                shutil.rmtree(incoming)
            raise
        sync_directory(self.folder)

    def current(self) -> str | None:
        """The name of the release that ``current`` leads to; None when it leads to none. Raises OSError."""
        try:
            target = self.link.readlink()
        except FileNotFoundError:
            return None
        name = target.name
        return name if (self.root / target) == self.folder / name and _is_directory(self.folder / name) else None

    def has(self, name: str) -> bool:
        """Whether a release is there. One that the disk does not let anybody look at is: it must not be forgotten."""
        try:
            return _is_directory(self.folder / name)
        except OSError:
            return True

    def switch(self, name: str | None) -> None:
        """Has ``current`` lead to a release, by one rename; None takes it away, where there was nothing before."""
        if name is None:
            self.link.unlink(missing_ok=True)
        else:
            self._link_to(name).replace(self.link)
        sync_directory(self.root)

    def _link_to(self, name: str) -> Path:
        """A link to a release that may take the place of ``current``: a new one, or the spare one."""
        following, spare = self.root / _NEXT, self._spare(name)
        try:
            following.unlink(missing_ok=True)
            following.symlink_to(self._target(name))
        except OSError:
            if not spare.is_symlink():
                raise
            return spare
        return following

    def keep_spare(self, name: str) -> None:
        """Has a spare link to a release lie ready, for :meth:`switch` on a full disk.

        Making a link may take space; a rename takes none. So who goes to another release can come back whatever happens.
        """
        spare = self._spare(name)
        if not spare.is_symlink():
            spare.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            spare.symlink_to(self._target(name))

    def _spare(self, name: str) -> Path:
        return self.root / _SPARES / name

    def _target(self, name: str) -> Path:
        return Path(self.folder.name) / name

    def remove(self, name: str) -> None:
        """Removes a release: at once by name, then its bytes. Never the one that is current."""
        if name == self.current():
            raise DewyError(f"the release {name} is current and cannot be removed")
        removing = self.folder / f"{_REMOVING}{name}"
        with contextlib.suppress(FileNotFoundError):  # it is removed, or was renamed by a call that came no further
            self.path(name).rename(removing)
        with contextlib.suppress(OSError):  # a full disk may refuse this, and needs the space
            sync_directory(self.folder)  # or a power cut finds the half of it under the name of a whole one
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(removing)
        self._spare(name).unlink(missing_ok=True)

    def old(self, keep: int, needed: Collection[str]) -> list[str]:
        """The releases beyond the newest ``keep``, oldest first, but for those that are needed or current (R70)."""
        names = sorted((path.name for path in self.folder.iterdir() if _is_release(path)), reverse=True)
        protected = {*needed, self.current()}
        return [name for name in reversed(names[keep:]) if name not in protected]


def _name(time: datetime) -> str:
    return time.astimezone(UTC).strftime(_NAME)


def _stamp(name: str) -> datetime | None:
    """The time that a release's name tells; None for what is no such name."""
    try:
        return datetime.strptime(name, _NAME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_release(path: Path) -> bool:
    return _stamp(path.name) is not None and not path.is_symlink() and _is_directory(path)


def _is_directory(path: Path) -> bool:
    """As ``Path.is_dir``, which takes trouble with the disk for an answer, in some releases of Python."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
