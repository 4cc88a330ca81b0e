"""Artifacts that are wrong in one way each, and the tests of the kit that must say so."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import unquote

import pytest

from dewy.backends.plugin import FILE_ARTIFACT
from dewy.errors import ArtifactError
from dewy.testing import ArtifactConformance
from dewy.types import Stated
from kit_mutants import mutant


class Wire:
    """A store whose transfers can break off: its files by URL, and how often they still do."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, int] = {}

    def put(self, name: str, content: bytes) -> str:
        return self.put_cut(name, content, 0)

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        url = f"file:///{len(self.files)}-{name.replace('%', '%25').replace('#', '%23').replace('?', '%3F')}"
        self.files[unquote(url)], self.cuts[unquote(url)] = content, cuts
        return url

    def missing(self) -> str:
        return "file:///missing"

    def piece(self, url: str, at: int) -> bytes | None:
        """The next piece; None when the transfer broke off."""
        content = self.files[url]
        if self.cuts[url] and at >= len(content) // 2:
            self.cuts[url] -= 1
            return None
        return content[at : at + (1 << 16)]


WIRE = Wire()


class WireArtifact:
    """Downloads from the wire as it should be done."""

    def __init__(self, url: Any) -> None:
        self.url = f"file://{url.path}"

    def download(self, to: BinaryIO) -> Stated:
        if self.url == "file:///down":
            raise ArtifactError("the store does not answer at all")
        if self.url not in WIRE.files:
            raise ArtifactError("there is no such file")
        size = attempts = 0
        while piece := self.next_piece(size):
            to.write(piece)
            size += len(piece)
            attempts += 1
        return Stated(size)

    def next_piece(self, at: int) -> bytes:
        for _ in range(3):
            piece = WIRE.piece(self.url, at)
            if piece is not None:
                return piece
        raise ArtifactError("the transfer broke off too often")


class ArtifactSuite(ArtifactConformance):
    """The kit on the wire."""

    __test__ = False
    backend = replace(FILE_ARTIFACT, open=lambda url, context: WireArtifact(url))
    plugin = "dewy.backends.plugin"
    interrupts = True
    resumes = True

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(url)

    @pytest.fixture
    def store(self) -> Wire:
        return WIRE

    @pytest.fixture
    def unreachable(self) -> str:
        return "file:///down"


class TextMode(WireArtifact):
    def next_piece(self, at: int) -> bytes:
        return super().next_piece(at).replace(b"\r\n", b"\n\n")


class StatesMore(WireArtifact):
    def download(self, to: BinaryIO) -> Stated:
        return Stated((super().download(to).size or 0) + 1)


class StatesAnEtag(WireArtifact):
    def download(self, to: BinaryIO) -> Stated:
        super().download(to)
        return Stated(digests=('"5d41402a"',))


class QuotesTwice(WireArtifact):
    def __init__(self, url: Any) -> None:
        super().__init__(url)
        self.url = self.url.replace("%20", " ").replace("é", "e").replace("+", " ")


class TakesAllIntoMemory(WireArtifact):
    def download(self, to: BinaryIO) -> Stated:
        class Heap:
            content = bytearray()

            def write(self, data: bytes) -> int:
                self.content += data
                return len(data)

        Heap.content = bytearray()
        stated = super().download(Heap())  # type: ignore[arg-type]
        for at in range(0, len(Heap.content), 1 << 16):
            to.write(Heap.content[at : at + (1 << 16)])
        return stated


class OnceOnly(WireArtifact):
    done = False

    def next_piece(self, at: int) -> bytes:
        piece = b"" if self.done else super().next_piece(at)
        self.done = not piece
        return piece


class TakesTheErrorPage(WireArtifact):
    def download(self, to: BinaryIO) -> Stated:
        if self.url not in WIRE.files:
            to.write(b"404 Not Found")
            return Stated()
        return super().download(to)


class FullDiskIsFine(WireArtifact):
    def download(self, to: BinaryIO) -> Stated:
        with suppress(OSError):
            return super().download(to)
        return Stated()


class LeaksItsToken(WireArtifact):
    def download(self, to: BinaryIO) -> Stated:
        try:
            return super().download(to)
        except ArtifactError as error:
            raise ArtifactError(f"{error.message}, with the token s3cr3t-canary") from error


class KnowsASecret(ArtifactSuite):
    __test__ = False

    @staticmethod
    def build(broken: Any, url: Any, context: Any) -> Any:
        context.secret("s3cr3t-canary")
        return broken(url)


class CutIsTheEnd(WireArtifact):
    def next_piece(self, at: int) -> bytes:
        return WIRE.piece(self.url, at) or b""


class BeginsAnew(WireArtifact):
    """Sends everything again after a cut."""

    def download(self, to: BinaryIO) -> Stated:
        for _ in range(3):
            at = 0
            while piece := WIRE.piece(self.url, at):
                to.write(piece)
                at += len(piece)
            if at >= len(WIRE.files[self.url]):
                return Stated(at)
        raise ArtifactError("the transfer broke off too often")


MUTANTS = [
    mutant(ArtifactSuite, TextMode, "test_bytes_arrive_as_they_are"),
    mutant(ArtifactSuite, StatesMore, "test_bytes_arrive_as_they_are"),
    mutant(ArtifactSuite, StatesAnEtag, "test_bytes_arrive_as_they_are"),
    mutant(ArtifactSuite, QuotesTwice, "test_odd_names_work"),
    mutant(ArtifactSuite, TakesAllIntoMemory, "test_download_streams"),
    mutant(ArtifactSuite, OnceOnly, "test_same_object_downloads_again"),
    mutant(ArtifactSuite, TakesTheErrorPage, "test_missing_is_an_error", "test_unreachable_is_an_error"),
    mutant(ArtifactSuite, FullDiskIsFine, "test_full_disk_is_told"),
    mutant(KnowsASecret, LeaksItsToken, "test_missing_is_an_error", "test_truncated_is_an_error"),
    mutant(ArtifactSuite, CutIsTheEnd, "test_truncated_is_an_error", "test_interrupted_is_resumed"),
    mutant(ArtifactSuite, BeginsAnew, "test_interrupted_is_resumed"),
]
