"""Registries that decide and notifiers, wrong in one way each, and the tests of the kit that must say so."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from dewy.errors import NotifierError, RegistryError
from dewy.testing import NotifierConformance, RegistryConformance, SeenReport
from dewy.types import Backend, ListedVersion, Message, Notifier, Option, Platform, Registry, Release, Report
from kit_mutants import mutant

_numbers = itertools.count()


class Office:
    """A service that decides, or an inbox, each test's own."""

    all: ClassVar[dict[str, Office]] = {}

    def __init__(self, scheme: str) -> None:
        name = f"office{next(_numbers)}"
        self.url = f"{scheme}://{name}?token=s3cr3t-canary"
        self.offers: dict[Platform, Release] = {}
        self.seen: list[SeenReport] = []
        self.texts: list[str] = []
        self.refuses = False
        Office.all[name] = self

    def offer(self, platform: Platform, release: Release) -> None:
        self.offers[platform] = release

    def reports(self) -> Sequence[SeenReport]:
        return self.seen

    def received(self) -> Sequence[str]:
        return self.texts

    def refuse(self) -> None:
        self.refuses = True


TOKEN = (Option("token", "whoever has it may ask", secret=True),)


# --------------------------------------------------------------------------------------------------------------- registries


class GoodRegistry:
    """Decides as it should."""

    def __init__(self, url: Any) -> None:
        self.url = url

    @property
    def office(self) -> Office:
        if self.url.host not in Office.all:
            raise RegistryError(f"{self.url} does not answer")
        return Office.all[self.url.host]

    def current(self, platform: Platform) -> Release:
        release = self.office.offers.get(platform)
        if release is None:
            raise RegistryError(f"{self.url} has nothing for {platform}")
        return release

    def report(self, report: Report) -> None:
        seen = SeenReport(report.release.id, report.release.version, report.command, report.error)
        self.office.seen.append(seen)


REGISTRY: Backend[Registry] = Backend(
    schemes=("office",),
    summary="decides",
    examples=("office://main",),
    open=lambda url, context: GoodRegistry(url),
    options=TOKEN,
)


class RegistrySuite(RegistryConformance):
    """The kit on an office."""

    __test__ = False
    backend = REGISTRY
    plugin = "kit_mutants_people"

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(url)

    @pytest.fixture
    def store(self) -> Office:
        return Office("office")

    @pytest.fixture
    def unreachable(self) -> str:
        return "office://closed?token=s3cr3t-canary"


class ListsToo(GoodRegistry):
    def versions(self) -> list[ListedVersion]:
        return []

    def files(self, version: ListedVersion) -> list[Any]:
        return []


class StripsTheBuild(GoodRegistry):
    def current(self, platform: Platform) -> Release:
        release = super().current(platform)
        return replace(release, version=release.version.partition("+")[0])


class StatesHexOnly(GoodRegistry):
    def current(self, platform: Platform) -> Release:
        return replace(super().current(platform), digests=("9f86d081",))


class AnyPlatform(GoodRegistry):
    def current(self, platform: Platform) -> Release:
        for release in self.office.offers.values():
            return release
        return super().current(platform)


class RemembersTooLong(GoodRegistry):
    known: Release | None = None

    def current(self, platform: Platform) -> Release:
        self.known = self.known or super().current(platform)
        return self.known


class NothingIsARelease(GoodRegistry):
    def current(self, platform: Platform) -> Release:
        with suppress(RegistryError):
            return super().current(platform)
        return Release(version="", artifact="", url="")


class ReportsTwice(GoodRegistry):
    def report(self, report: Report) -> None:
        super().report(report)
        super().report(report)


class FailureIsSuccess(GoodRegistry):
    def report(self, report: Report) -> None:
        super().report(replace(report, error=None))


class ReportsInSilence(GoodRegistry):
    def report(self, report: Report) -> None:
        with suppress(RegistryError):
            super().report(report)


class ShowsItsUrl(GoodRegistry):
    def current(self, platform: Platform) -> Release:
        raise RegistryError(f"asking {self.url.raw} failed") if self.url.host == "closed" else RegistryError("nothing")


# ---------------------------------------------------------------------------------------------------------------- notifiers


class GoodNotifier(GoodRegistry):
    """Tells as it should."""

    def send(self, message: Message) -> None:
        if self.url.host not in Office.all:
            raise NotifierError(f"{self.url} does not answer")
        if self.office.refuses:
            raise NotifierError(f"{self.url} refuses the message")
        self.deliver(message)

    def deliver(self, message: Message) -> None:
        parts = (message.level, message.title, message.text, message.host, message.version, message.output[:1000])
        self.office.texts.append("\n".join(parts))


NOTIFIER: Backend[Notifier] = Backend(
    schemes=("chat",),
    summary="tells",
    examples=("chat://main",),
    open=lambda url, context: GoodNotifier(url),
    options=TOKEN,
)


class NotifierSuite(NotifierConformance):
    """The kit on an office's chat."""

    __test__ = False
    backend = NOTIFIER
    plugin = "kit_mutants_people"
    arrival = 0.1

    @staticmethod
    def build(broken: Any, url: Any, _context: object) -> Any:
        return broken(url)

    @pytest.fixture
    def inbox(self) -> Office:
        return Office("chat")

    @pytest.fixture
    def unreachable(self) -> str:
        return "chat://closed?token=s3cr3t-canary"


class SendsTwice(GoodNotifier):
    def deliver(self, message: Message) -> None:
        super().deliver(message)
        super().deliver(message)


class TitleOnly(GoodNotifier):
    def deliver(self, message: Message) -> None:
        self.office.texts.append(message.title)


class ErrorsOnly(GoodNotifier):
    def deliver(self, message: Message) -> None:
        if message.level == "error":
            super().deliver(message)


class LastFirst(GoodNotifier):
    def deliver(self, message: Message) -> None:
        super().deliver(message)
        self.office.texts.insert(0, self.office.texts.pop())


class NeedsAVersion(GoodNotifier):
    def deliver(self, message: Message) -> None:
        if not message.version:
            raise ValueError("no version")
        super().deliver(message)


class AsciiOnly(GoodNotifier):
    def deliver(self, message: Message) -> None:
        super().deliver(message)
        self.office.texts[-1] = self.office.texts[-1].encode("ascii", "replace").decode()


class RefusesWhatIsLong(GoodNotifier):
    def deliver(self, message: Message) -> None:
        if len(message.output) > 40_000:
            raise NotifierError("the message is too long for the medium")
        super().deliver(message)


class SplitsHeaders(GoodNotifier):
    def deliver(self, message: Message) -> None:
        for line in message.title.splitlines():
            super().deliver(replace(message, title=line))


class BoundToItsThread(GoodNotifier):
    def __init__(self, url: Any) -> None:
        super().__init__(url)
        self.thread = threading.get_ident()

    def deliver(self, message: Message) -> None:
        if threading.get_ident() == self.thread:
            super().deliver(message)


class TellsItsToken(GoodNotifier):
    def deliver(self, message: Message) -> None:
        super().deliver(replace(message, text=f"{message.text} by {self.url.raw}"))


class FailsInSilence(GoodNotifier):
    def send(self, message: Message) -> None:
        with suppress(NotifierError):
            super().send(message)


MUTANTS = [
    mutant(RegistrySuite, ListsToo, "test_is_a_registry"),
    mutant(RegistrySuite, StripsTheBuild, "test_gives_what_is_offered"),
    mutant(RegistrySuite, StatesHexOnly, "test_gives_what_is_offered"),
    mutant(RegistrySuite, AnyPlatform, "test_each_platform_gets_its_own"),
    mutant(RegistrySuite, RemembersTooLong, "test_the_newest_offer_counts"),
    mutant(RegistrySuite, NothingIsARelease, "test_no_offer_is_an_error", "test_unreachable_is_an_error"),
    mutant(RegistrySuite, ReportsTwice, "test_success_is_reported"),
    mutant(RegistrySuite, FailureIsSuccess, "test_failure_is_reported_with_its_reason"),
    mutant(RegistrySuite, ReportsInSilence, "test_unreachable_is_an_error"),
    mutant(RegistrySuite, ShowsItsUrl, "test_unreachable_is_an_error"),
    mutant(NotifierSuite, SendsTwice, "test_message_arrives_once"),
    mutant(NotifierSuite, TitleOnly, "test_message_arrives_once"),
    mutant(NotifierSuite, ErrorsOnly, "test_every_level_arrives"),
    mutant(NotifierSuite, LastFirst, "test_messages_keep_their_order"),
    mutant(NotifierSuite, NeedsAVersion, "test_little_is_enough"),
    mutant(NotifierSuite, AsciiOnly, "test_odd_texts_arrive"),
    mutant(NotifierSuite, RefusesWhatIsLong, "test_long_output_arrives"),
    mutant(NotifierSuite, SplitsHeaders, "test_line_ends_in_the_title_do_no_harm"),
    mutant(NotifierSuite, BoundToItsThread, "test_any_thread_may_send"),
    mutant(NotifierSuite, TellsItsToken, "test_nothing_secret_is_sent"),
    mutant(NotifierSuite, FailsInSilence, "test_refused_is_an_error", "test_unreachable_is_an_error"),
]
