"""SDK clients that are shared, and what their errors become."""

from __future__ import annotations

import errno
import threading

import pytest

from dewy.errors import RegistryError
from dewy.objectstore import Clients, Fault, ObjectStoreError, one_line, system_reason
from dewy.objectstore.faults import told_as


class Expired(Exception):
    """What an SDK raises."""


class Busy(Exception):
    """What it raises at other times."""


def explain(error: Exception) -> Fault:
    return Fault(f"it said {one_line(error)}", "Renew them", credentials=isinstance(error, Expired))


@pytest.fixture
def clients() -> Clients[str, object]:
    return Clients(explain)


def client_of(clients: Clients[str, object], access: str) -> object:
    with clients.lend(access, object) as client:
        return client


def test_one_access_has_one_client(clients: Clients[str, object]) -> None:
    """And its connections: a poll costs no handshake."""
    assert client_of(clients, "a") is client_of(clients, "a")
    assert client_of(clients, "b") is not client_of(clients, "a")


def test_the_number_of_clients_is_bounded(clients: Clients[str, object]) -> None:
    """The one that was not used for longest goes."""
    first, second = client_of(clients, "0"), client_of(clients, "1")
    for number in range(2, 9):
        client_of(clients, str(number))
        assert client_of(clients, "0") is first
    assert client_of(clients, "1") is not second


def test_who_hangs_while_a_client_is_made_does_not_hold_up_others(clients: Clients[str, object]) -> None:
    """The metadata service of a host may not answer for a while."""
    making, go_on = threading.Event(), threading.Event()

    def make() -> object:
        making.set()
        assert go_on.wait(30)
        return "slow"

    def hang() -> None:
        with clients.lend("slow", make):
            pass

    thread = threading.Thread(target=hang)
    thread.start()
    assert making.wait(30)
    assert client_of(clients, "quick") is client_of(clients, "quick")
    quicker = client_of(clients, "slow")
    go_on.set()
    thread.join(30)
    assert client_of(clients, "slow") is quicker, "two that were made at once: the first is kept"


@pytest.mark.parametrize("error", [Expired("no\x1b\nmore."), Busy("no\x1b\nmore.")])
def test_errors_of_the_sdk_are_explained_and_credentials_looked_for_anew(
    clients: Clients[str, object], error: Exception
) -> None:
    before = client_of(clients, "a")
    with pytest.raises(ObjectStoreError, match=r"it said no more$") as raised, clients.lend("a", object):
        raise error
    assert raised.value.__cause__ is error
    assert (client_of(clients, "a") is before) == isinstance(error, Busy)


def test_a_client_that_cannot_be_made_is_an_error_too(clients: Clients[str, object]) -> None:
    def make() -> object:
        raise Expired("there are none")

    with pytest.raises(ObjectStoreError, match="there are none"), clients.lend("a", make):
        pytest.fail("there is no client")


@pytest.mark.parametrize("error", [RegistryError("the list is odd"), ObjectStoreError(Fault("it is gone"))])
def test_errors_that_are_dewy_s_stay_as_they_are(clients: Clients[str, object], error: Exception) -> None:
    with pytest.raises(type(error)) as raised, clients.lend("a", object):
        raise error
    assert raised.value is error


def test_a_fault_becomes_a_sentence_of_the_kind_that_is_asked_for() -> None:
    with pytest.raises(RegistryError) as raised, told_as(RegistryError, "listing it"):
        raise ObjectStoreError(Fault("access is denied", "Ask for it"))
    assert (raised.value.message, raised.value.hint) == ("listing it failed: access is denied", "Ask for it")


# ------------------------------------------------------------------------------------------------------------------ words


def test_a_stranger_s_words_are_one_printable_line_without_a_full_stop() -> None:
    assert one_line("  I am\tone\n\x1b[31m. ") == "I am one [31m"
    assert one_line("!" * 999) == "!" * 240
    assert one_line(ValueError("x" * 9), most=3) == "xxx"


class Wrapping(Exception):
    """An SDK's error with what it wraps in an attribute, as most have it, or in a mapping of them."""

    def __init__(self, text: str, **held: object) -> None:
        super().__init__(text)
        vars(self).update(held)


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def caused() -> Exception:
    try:
        raise Wrapping("outer") from REFUSED
    except Wrapping as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        caused(),
        Wrapping("outer", reason=REFUSED),
        Wrapping("outer", kwargs={"url": "x", "error": Wrapping("inner", reason=REFUSED)}),
        ValueError("outer", REFUSED),
        OSError(Wrapping("no number", inner=REFUSED), "not the system's words"),
    ],
    ids=["itself", "cause", "attribute", "mapping", "argument", "not the system's"],
)
def test_what_the_system_said_is_found_wherever_it_is(error: Exception) -> None:
    assert system_reason(error) == "Connection refused"


def test_errors_in_a_ring_without_a_system_s_word_have_none() -> None:
    one, other = Wrapping("one"), Wrapping("other")
    vars(one)["inner"], vars(other)["inner"] = other, one
    assert system_reason(one) == ""
