"""What an artifact backend is held to: the right bytes, streamed, or an error."""

from __future__ import annotations

import os
import re
import time
from typing import ClassVar, Protocol

import pytest

from dewy.digests import new_hasher
from dewy.errors import ArtifactError
from dewy.testing.backend import BackendConformance, needs
from dewy.testing.context import TestContext
from dewy.testing.failures import fails_well
from dewy.testing.streams import WriteOnly, assert_same, peak_memory
from dewy.types import Artifact, Stated

__all__ = ["ArtifactConformance", "ArtifactStore", "check_stated"]

_MEBIBYTE = 1024 * 1024
_LARGE = 48 * _MEBIBYTE
_ROOM = 20 * _MEBIBYTE
_DIGEST = re.compile(r"[a-z0-9_-]+:[0-9a-f]+\Z")
_ALL_BYTES = bytes(range(256))


class ArtifactStore(Protocol):
    """The other side of the backend, in a test: a server or a directory."""

    def put(self, name: str, content: bytes) -> str:
        """Stores a file; returns its URL. The store keeps ``content`` as it is: a copy counts as the backend's memory."""

    def missing(self) -> str:
        """A URL of the same form under which there is nothing."""


class InterruptingStore(ArtifactStore, Protocol):
    """A store that can break off transfers."""

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        """Stores a file whose first ``cuts`` transfers break off half-way; returns its URL."""


class ArtifactConformance(BackendConformance):
    """Subclass it, set ``backend`` and ``plugin``, and override the fixtures ``store`` and ``unreachable``."""

    __test__ = False
    hook = "dewy_artifacts"
    kind = "artifact"

    remote: ClassVar[bool] = True
    """Whether the store is another process that can be down."""

    interrupts: ClassVar[bool] = False
    """Whether the test's store has ``put_cut``, so that broken transfers are tested. For everything with a network."""

    resumes: ClassVar[bool] = False
    """Whether the protocol can go on where a transfer broke off. Needs ``interrupts``."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        """A store, to be overridden."""
        raise NotImplementedError("override the fixture 'store'")

    @pytest.fixture
    def unreachable(self) -> str:
        """A URL at whose host nobody answers, to be overridden if ``remote``."""
        raise NotImplementedError("override the fixture 'unreachable'")

    @pytest.mark.parametrize(
        "content",
        [b"", b"x", _ALL_BYTES, b"\r\n\r\n\x1a\x00", os.urandom(5 * _MEBIBYTE + 1)],
        ids=["empty", "one byte", "all bytes", "line ends", "5 MiB"],
    )
    def test_bytes_arrive_as_they_are(self, store: ArtifactStore, context: TestContext, content: bytes) -> None:
        """Every byte, none more, and what is stated of them is true."""
        to = WriteOnly()
        stated = self._artifact(store.put("app_linux_amd64.tar.gz", content), context).download(to.as_binary_io())
        assert_same(to.content, content, "what arrived is not what was stored")
        check_stated(stated, content)

    @pytest.mark.parametrize("name", ["my app (1).tar.gz", "prílohy-приложение.zip", "a+b%20c&d=e;f,g~h@i.bin"])
    def test_odd_names_work(self, store: ArtifactStore, context: TestContext, name: str) -> None:
        """Blanks, other alphabets and what means something in URLs."""
        to = WriteOnly()
        self._artifact(store.put(name, name.encode()), context).download(to.as_binary_io())
        assert to.content == name.encode()

    def test_download_streams(self, store: ArtifactStore, context: TestContext) -> None:
        """Memory does not grow with the artifact (R33)."""
        artifact = self._artifact(store.put("large.bin", bytes(_LARGE)), context)
        to = WriteOnly(keep=False)
        peak = peak_memory(lambda: artifact.download(to.as_binary_io()))
        assert to.size == _LARGE
        assert peak < _ROOM, f"downloading {_LARGE} bytes took {peak} bytes of memory: pass them on in pieces"

    def test_same_object_downloads_again(self, store: ArtifactStore, context: TestContext) -> None:
        """What failed is tried again with the same object."""
        artifact = self._artifact(store.put("again.bin", b"again"), context)
        for _ in range(2):
            to = WriteOnly()
            artifact.download(to.as_binary_io())
            assert to.content == b"again"

    def test_missing_is_an_error(self, store: ArtifactStore, context: TestContext) -> None:
        """An error page is never taken for the artifact."""
        artifact = self._artifact(store.missing(), context)
        to = WriteOnly()
        with fails_well(ArtifactError, within=self.patience, secrets=context.secrets):
            artifact.download(to.as_binary_io())
        assert not to.size, "bytes arrived of an artifact that does not exist"

    def test_full_disk_is_told(self, store: ArtifactStore, context: TestContext) -> None:
        """An error of ``to`` comes out, so that nobody takes the download for done, and comes out soon."""
        artifact = self._artifact(store.put("full.bin", bytes(5 * _MEBIBYTE)), context)
        started = time.monotonic()
        with pytest.raises(Exception, match=r"(?i)no space"):
            artifact.download(WriteOnly(fails_after=_MEBIBYTE).as_binary_io())
        assert time.monotonic() - started < self.patience, "a full disk is no reason to try the transfer again"

    @needs("remote")
    def test_unreachable_is_an_error(self, unreachable: str, context: TestContext) -> None:
        """Nobody waits for a store that is down."""
        artifact = self._artifact(unreachable, context)
        with fails_well(ArtifactError, within=self.patience, secrets=context.secrets):
            artifact.download(WriteOnly().as_binary_io())

    @needs("interrupts")
    def test_truncated_is_an_error(self, store: InterruptingStore, context: TestContext) -> None:
        """A transfer that always breaks off half-way is never taken for a whole one."""
        content = os.urandom(2 * _MEBIBYTE)
        artifact = self._artifact(store.put_cut("cut.bin", content, 1_000_000), context)
        with fails_well(ArtifactError, within=self.patience, secrets=context.secrets):
            artifact.download(WriteOnly().as_binary_io())

    @needs("resumes")
    def test_interrupted_is_resumed(self, store: InterruptingStore, context: TestContext) -> None:
        """A transfer that breaks off once goes on inside the same call, without a byte twice."""
        content = os.urandom(2 * _MEBIBYTE)
        to = WriteOnly()
        stated = self._artifact(store.put_cut("cut.bin", content, 1), context).download(to.as_binary_io())
        assert_same(to.content, content)
        check_stated(stated, content)

    def _artifact(self, url: str, context: TestContext) -> Artifact:
        artifact: Artifact = self.open(url, context)
        return artifact


def check_stated(stated: Stated, content: bytes) -> None:
    """Checks that what a source states is well-formed and true."""
    assert isinstance(stated, Stated), "download returns what the source states: Stated()"
    assert stated.size in (None, len(content)), f"{stated.size} bytes are stated of {len(content)}"
    for digest in stated.digests:
        assert check_digest(digest, content), f"{digest!r} is not the digest of the bytes"


def check_digest(digest: str, content: bytes) -> bool:
    """Whether a digest is well-formed, by an algorithm that dewy knows, and that of ``content``."""
    assert _DIGEST.match(digest), f"{digest!r} is no digest of the form algorithm:hex in lower case"
    algorithm, _, value = digest.partition(":")
    hasher = new_hasher(algorithm)
    assert hasher, f"dewy cannot check {algorithm}: leave the digest out"
    hasher.update(content)
    return hasher.hexdigest() == value
