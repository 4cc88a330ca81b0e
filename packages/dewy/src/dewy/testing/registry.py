"""What a registry is held to that decides by itself which version is current, as the user's own gRPC server does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol

import pytest

from dewy.errors import RegistryError
from dewy.testing.backend import BackendConformance, needs
from dewy.testing.context import TestContext
from dewy.testing.failures import fails_well
from dewy.types import Catalog, Command, Platform, Registry, Release, Report
from dewy.urls import scheme_of

__all__ = ["RegistryConformance", "RegistryStore", "SeenReport"]

_AMD64 = Platform("linux", "amd64")
_ARM64 = Platform("linux", "arm64")
_AT = datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC)
_DIGEST = re.compile(r"[a-z0-9_-]+:[0-9a-f]+\Z")


@dataclass(frozen=True, slots=True)
class SeenReport:
    """A report as it reached the other side.

    Attributes:
        id: The answer's own name, as the other side had given it; empty if it gives none.
        version: The version.
        command: ``server`` or ``assets``.
        error: Why the deployment failed; None on success.
    """

    id: str
    version: str
    command: str
    error: str | None


class RegistryStore(Protocol):
    """The other side of the registry, in a test: a server that offers nothing at first."""

    @property
    def url(self) -> str:
        """The registry URL of the server."""

    def offer(self, platform: Platform, release: Release) -> None:
        """Has ``release`` be what this platform should run from now on."""

    def reports(self) -> Sequence[SeenReport]:
        """The reports that arrived, in order."""


class RegistryConformance(BackendConformance):
    """Subclass it, set ``backend`` and ``plugin``, and override the fixtures ``store`` and ``unreachable``."""

    __test__ = False
    hook = "dewy_registries"
    kind = "registry"

    by_platform: ClassVar[bool] = True
    """Whether the other side may offer each platform something else."""

    reports_failures: ClassVar[bool] = True
    """Whether a failed deployment is passed on, with its reason."""

    @pytest.fixture
    def store(self) -> RegistryStore:
        """A server, to be overridden."""
        raise NotImplementedError("override the fixture 'store'")

    @pytest.fixture
    def unreachable(self) -> str:
        """A URL at which nobody answers, to be overridden."""
        raise NotImplementedError("override the fixture 'unreachable'")

    @pytest.fixture
    def registry(self, store: RegistryStore, context: TestContext) -> Registry:
        """The registry of the server."""
        registry: Registry = self.open(store.url, context)
        return registry

    def test_is_a_registry(self, registry: Registry) -> None:
        """And not a catalog at the same time."""
        assert isinstance(registry, Registry), "a registry has current() and report()"
        assert not isinstance(registry, Catalog), "it is a catalog or a registry, not both"

    def test_gives_what_is_offered(self, store: RegistryStore, registry: Registry) -> None:
        """Version, artifact and URL as the other side has them, digests and times well-formed."""
        store.offer(_AMD64, _release("v1.4.0+build.5"))
        release = registry.current(_AMD64)
        assert (release.version, release.artifact) == ("v1.4.0+build.5", "app v1.tar.gz")
        assert release.url == _release("v1.4.0+build.5").url
        assert scheme_of(release.url)
        assert all(_DIGEST.match(digest) for digest in release.digests), f"digests are algorithm:hex: {release.digests}"
        assert release.published is None or release.published.tzinfo, "published has no time zone: make it aware"

    @needs("by_platform")
    def test_each_platform_gets_its_own(self, store: RegistryStore, registry: Registry) -> None:
        """The platform is passed on, in Go's names."""
        store.offer(_AMD64, _release("v1.0.0"))
        store.offer(_ARM64, _release("v1.1.0"))
        assert registry.current(_AMD64).version == "v1.0.0"
        assert registry.current(_ARM64).version == "v1.1.0"

    def test_the_newest_offer_counts(self, store: RegistryStore, registry: Registry) -> None:
        """The same object is asked at every poll, and the registry is the truth, also when it goes back (R26)."""
        for version in ("v1.0.0", "v1.1.0", "v1.0.0"):
            store.offer(_AMD64, _release(version))
            assert registry.current(_AMD64).version == version

    def test_no_offer_is_an_error(self, registry: Registry, context: TestContext) -> None:
        """A server that has nothing to offer is a RegistryError (its child ReleasePending says "not yet")."""
        with fails_well(RegistryError, within=self.patience, secrets=context.secrets, or_http=True):
            registry.current(_AMD64)

    @pytest.mark.parametrize("command", ["server", "assets"])
    def test_success_is_reported(self, store: RegistryStore, registry: Registry, command: Command) -> None:
        """Once, with the answer's own id."""
        store.offer(_AMD64, _release("v1.4.0"))
        release = registry.current(_AMD64)
        registry.report(Report(release=release, command=command, host="web1", at=_AT))
        assert list(store.reports()) == [SeenReport(release.id, "v1.4.0", command, None)]

    @needs("reports_failures")
    def test_failure_is_reported_with_its_reason(self, store: RegistryStore, registry: Registry) -> None:
        """A failed deployment is not taken for a done one."""
        store.offer(_AMD64, _release("v1.4.0"))
        release = registry.current(_AMD64)
        registry.report(Report(release=release, command="server", host="web1", at=_AT, error="příliš žluťoučký"))
        assert list(store.reports()) == [SeenReport(release.id, "v1.4.0", "server", "příliš žluťoučký")]

    def test_unreachable_is_an_error(self, unreachable: str, context: TestContext) -> None:
        """Nobody waits for a server that is down, and neither an answer nor a report is made up."""
        registry: Registry = self.open(unreachable, context)
        with fails_well(RegistryError, within=self.patience, secrets=context.secrets, or_http=True):
            registry.current(_AMD64)
        report = Report(release=_release("v1.4.0"), command="server", host="web1", at=_AT)
        with fails_well(RegistryError, within=self.patience, secrets=context.secrets, or_http=True):
            registry.report(report)


def _release(version: str) -> Release:
    return Release(
        version=version, artifact="app v1.tar.gz", url="https://127.0.0.1:9/files/app%20v1.tar.gz", id=f"id-{version}"
    )
