"""What dewy does with the plugin, in one line each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from dewy.http import HttpClient, Limits
from dewy.testing import FakeClock, TestContext
from dewy.testing.streams import WriteOnly
from dewy.types import Artifact, AttachingCatalog, Stated
from dewy.urls import parse_url
from dewy_registry_ghr.plugin import ARTIFACT, REGISTRY


def catalog_of(url: str, context: TestContext) -> AttachingCatalog:
    return REGISTRY.open(parse_url(url, REGISTRY.options, kind="registry"), context)


def artifact_of(url: str, context: TestContext) -> Artifact:
    return ARTIFACT.open(parse_url(url, ARTIFACT.options, kind="artifact"), context)


def tags_of(catalog: AttachingCatalog) -> set[str]:
    return {version.tag for version in catalog.versions()}


def downloaded(url: str, context: TestContext) -> tuple[bytes, Stated]:
    to = WriteOnly()
    stated = artifact_of(url, context).download(to.as_binary_io())
    return to.content, stated


class ClockedContext(TestContext):
    """A context whose HTTP client waits by a clock of its own, where no wait takes time."""

    def __init__(self, directory: Path, environ: Mapping[str, str], **limits: float) -> None:
        super().__init__(directory, environ)
        self.clock = FakeClock()
        self._limits = Limits(**limits)

    @cached_property
    def http(self) -> HttpClient:
        clock = self.clock
        return HttpClient(self.environ, wait=clock.wait, monotonic=clock.monotonic, limits=self._limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
