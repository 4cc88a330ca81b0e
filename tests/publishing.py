"""Applications as release archives, and a directory to publish them in."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

APPLICATIONS = Path(__file__).parent / "e2e" / "applications"

Archive = Callable[[str], bytes]


def python_archive(version: str) -> bytes:
    """A release archive of the Python application."""
    return pack({"web.py": ((APPLICATIONS / "web.py").read_bytes(), 0o644), "VERSION": (version.encode(), 0o644)})


def pack(members: dict[str, tuple[bytes, int]]) -> bytes:
    """A .tar.gz with these members: content and mode by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, (content, mode) in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Directory:
    """A file registry, into which releases are moved when they are whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def publish(self, version: str, content: bytes, name: str = "myapp_linux_amd64.tar.gz") -> None:
        folder = self.path / version
        folder.mkdir(exist_ok=True)
        part = folder / f".{name}.part"
        part.write_bytes(content)
        part.rename(folder / name)

    def withdraw(self, version: str) -> None:
        shutil.rmtree(self.path / version)
