"""Retries, rate limits and conditional requests (R30): how the client treats a server that is busy, or has nothing new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

import pytest

from dewy.http import HttpClient, HttpError, Limits, RateLimited, Retries
from dewy.testing import FakeClock
from http_server import Application, Connection, Request, Server, resets, says, script

STAMP, LATER = "Fri, 15 Mar 2024 14:30:22 GMT", "Fri, 15 Mar 2024 14:30:23 GMT"


class Stop(BaseException):
    """What an interrupted wait raises."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def client(clock: FakeClock, jitter: float = 1.0, **settings: object) -> HttpClient:
    return HttpClient(
        {},
        wait=clock.wait,
        monotonic=clock.monotonic,
        now=clock.now,
        uniform=lambda: jitter,
        **settings,  # type: ignore[arg-type]
    )


def half(_request: Request, connection: Connection) -> None:
    connection.answer(200, b"half", {"Content-Length": "1000"})
    connection.reset()


# ---------------------------------------------------------------------------------------------------------------- retries


@pytest.mark.parametrize("failing", [resets, half, says(408), says(429), says(500), says(502), says(503), says(504)])
def test_a_failure_that_may_pass_is_tried_again(clock: FakeClock, failing: Application) -> None:
    with Server(script(failing, failing, says(200, b"ok"))) as server, client(clock) as http:
        assert http.get(server.url).content == b"ok"
    assert len(server.requests) == 3
    assert clock.waits == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 501])
def test_a_failure_that_will_not_pass_is_not_tried_again(clock: FakeClock, status: int) -> None:
    with Server(says(status)) as server, client(clock) as http:
        with pytest.raises(HttpError):
            http.get(server.url)
        assert len(server.requests) == 1
    assert clock.waits == []


def test_there_is_an_end_to_trying(clock: FakeClock) -> None:
    with Server(says(500)) as server, client(clock) as http:
        with pytest.raises(HttpError) as caught:
            http.get(server.url)
        assert len(server.requests) == Retries().tries
    assert caught.value.transient


def test_pauses_grow_to_a_bound_and_are_jittered_in_full(clock: FakeClock) -> None:
    jitter = iter([1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0])
    with Server(says(500)) as server:
        settings = {"retries": Retries(tries=8), "limits": Limits(total=600)}
        with (
            HttpClient(
                {},
                wait=clock.wait,
                monotonic=clock.monotonic,
                uniform=lambda: next(jitter, 1.0),
                **settings,  # type: ignore[arg-type]
            ) as http,
            pytest.raises(HttpError),
        ):
            http.get(server.url)
    assert clock.waits == [0.5, 0.5, 0.0, 4.0, 8.0, 8.0, 8.0]


def test_no_pause_goes_beyond_the_limit_of_the_call(clock: FakeClock) -> None:
    with Server(says(500)) as server, client(clock, retries=Retries(tries=100)) as http:
        with pytest.raises(HttpError):
            http.get(server.url, timeout=5)
        assert len(server.requests) == 4
    assert clock.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("failing", [resets, half, says(500), says(429)])
def test_a_post_that_may_have_arrived_is_not_sent_again_unless_the_caller_says_so(
    clock: FakeClock, failing: Application
) -> None:
    with Server(script(failing, says(201))) as server, client(clock) as http:
        with pytest.raises(HttpError):
            http.request("POST", server.url, content=b"once")
        assert len(server.requests) == 1
    with Server(script(failing, says(201))) as server, client(clock) as http:
        assert http.request("POST", server.url, content=b"twice", repeat=True).status == 201
        assert [request.body for request in server.requests] == [b"twice", b"twice"]


def test_a_put_is_sent_again_unless_the_caller_forbids_it(clock: FakeClock) -> None:
    with Server(script(resets, says(200))) as server, client(clock) as http:
        assert http.request("PUT", server.url, content=b"x").status == 200
    with Server(script(resets, says(200))) as server, client(clock) as http, pytest.raises(HttpError):
        http.request("PUT", server.url, content=b"x", repeat=False)


def test_a_post_that_cannot_have_arrived_is_sent_again() -> None:
    """The server comes up while the client waits."""
    late = Server(says(201))
    port = late.port
    late.__exit__(None, None, None)
    started: list[Server] = []

    def wait(_seconds: float) -> None:
        if not started:
            started.append(_on_port(port, says(201)))

    with HttpClient({}, wait=wait) as http:
        assert http.request("POST", f"http://127.0.0.1:{port}/", content=b"x").status == 201
    started[0].__exit__(None, None, None)
    assert len(started[0].requests) == 1


def _on_port(port: int, application: Application) -> Server:
    import socket

    server = Server(application)
    server._listener.close()
    server._listener = socket.create_server(("127.0.0.1", port))
    return server.__enter__()


def test_a_wait_can_be_interrupted() -> None:
    def interrupted(_seconds: float) -> None:
        raise Stop

    with Server(says(500)) as server, HttpClient({}, wait=interrupted) as http, pytest.raises(Stop):
        http.get(server.url)


# ------------------------------------------------------------------------------------------------------------ rate limits


def in_seconds(clock: FakeClock, seconds: int) -> str:
    return str(int(clock.now().timestamp()) + seconds)


def on_date(clock: FakeClock, seconds: int) -> str:
    return format_datetime(clock.now() + timedelta(seconds=seconds), usegmt=True)


Fields = Callable[[FakeClock, int], dict[str, str]]

ASKING: dict[str, tuple[int, Fields]] = {
    "429 with seconds": (429, lambda _, s: {"Retry_After": str(s)}),
    "503 with seconds": (503, lambda _, s: {"Retry_After": str(s)}),
    "403 with seconds (secondary limit)": (403, lambda _, s: {"Retry_After": str(s)}),
    "429 with a date": (429, lambda c, s: {"Retry_After": on_date(c, s)}),
    "403 with a used-up limit": (403, lambda c, s: {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": in_seconds(c, s)}),
    "429 with seconds to the reset": (429, lambda _, s: {"RateLimit_Remaining": "0", "RateLimit_Reset": str(s)}),
    "a server whose clock is a day ahead": (
        429,
        lambda c, s: {"Date": on_date(c, 86400), "Retry_After": on_date(c, 86400 + s)},
    ),
}


@pytest.mark.parametrize("how", ASKING)
def test_a_short_pause_that_the_server_asks_for_is_waited_for(clock: FakeClock, how: str) -> None:
    status, fields = ASKING[how]
    with (
        Server(script(says(status, b"", **fields(clock, 7)), says(200, b"ok"))) as server,
        client(clock, jitter=0.5) as http,
    ):
        assert http.get(server.url).content == b"ok"
    assert len(clock.waits) == 1
    assert 7 <= clock.waits[0] <= 8


@pytest.mark.parametrize("how", ASKING)
def test_a_long_pause_fails_at_once_and_the_host_is_left_alone_until_then(clock: FakeClock, how: str) -> None:
    status, fields = ASKING[how]
    with Server(script(says(status, b"", **fields(clock, 600)), says(200, b"ok"))) as server, client(clock) as http:
        with pytest.raises(RateLimited) as caught:
            http.get(f"{server.url}/a")
        assert caught.value.retry_after == pytest.approx(600, abs=1)
        assert caught.value.status == status
        assert "wants to be left alone for 10m" in str(caught.value) or "for 9m59s" in str(caught.value)
        clock.advance(400)
        with pytest.raises(RateLimited, match="is not asked: it wants to be left alone for another 3m") as again:
            http.get(f"{server.url}/b")
        assert again.value.retry_after == pytest.approx(200, abs=1)
        assert not again.value.sent
        with pytest.raises(RateLimited):
            http.request("POST", f"{server.url}/c")
        assert len(server.requests) == 1
        clock.advance(201)
        assert http.get(f"{server.url}/b").content == b"ok"
    assert clock.waits == []


def test_the_last_call_of_a_limit_is_a_good_answer_and_the_next_one_is_not_made(clock: FakeClock) -> None:
    last = says(200, b"ok", X_RateLimit_Remaining="0", X_RateLimit_Reset=in_seconds(clock, 900))
    with Server(last) as server, client(clock) as http:
        assert http.get(server.url).content == b"ok"
        with pytest.raises(RateLimited):
            http.get(server.url)
        assert len(server.requests) == 1


def test_a_limit_holds_for_its_host_and_credentials_only(clock: FakeClock) -> None:
    with Server(script(says(429, Retry_After="600"), says())) as server, Server(says()) as other, client(clock) as http:
        with pytest.raises(RateLimited):
            http.get(server.url)
        assert http.get(other.url).status == 200
        assert http.get(server.url, credentials={"Authorization": "Bearer x"}).status == 200


def test_nobody_is_left_alone_for_longer_than_an_hour(clock: FakeClock) -> None:
    with Server(says(429, Retry_After="999999999")) as server, client(clock) as http, pytest.raises(RateLimited) as caught:
        http.get(server.url)
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("value", ["soon", "-5", "", "1e9", "Mon, 99 Foo 2024 99:99:99 GMT", "9" * 30])
def test_a_retry_after_that_cannot_be_read_is_as_good_as_none(clock: FakeClock, value: str) -> None:
    with Server(script(says(429, Retry_After=value), says(200, b"ok"))) as server, client(clock) as http:
        assert http.get(server.url).content == b"ok"
    assert clock.waits == [0.5]


def test_a_403_that_is_no_rate_limit_stays_a_403(clock: FakeClock) -> None:
    with (
        Server(says(403, X_RateLimit_Remaining="41", X_RateLimit_Reset=in_seconds(clock, 900))) as server,
        client(clock) as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get(server.url)
    assert not isinstance(caught.value, RateLimited)


# ----------------------------------------------------------------------------------------------------------- conditional


def versioned(request: Request, connection: Connection) -> None:
    """An answer per path and credentials, with an ETag."""
    who = request.headers.get("authorization", "nobody")
    etag = f'"{request.target}{who}"'
    if request.headers.get("if-none-match") == etag:
        connection.answer(304, headers={"ETag": etag, "X-Asked": "again"})
    else:
        connection.answer(200, f"{request.target} for {who}".encode() * 100, {"ETag": etag, "X-Asked": "first"})


def conditions(server: Server) -> list[bool]:
    return ["if-none-match" in request.headers for request in server.requests]


def test_a_hundred_polls_of_thirty_unchanged_pages_are_304s_and_give_the_same_answers(clock: FakeClock) -> None:
    """An unchanged repository costs nothing, however many pages it has."""

    def application(request: Request, connection: Connection) -> None:
        page = int(request.target.rpartition("=")[2])
        etag = f'W/"{page}"'
        headers = {"ETag": etag} | ({"Link": f'</?page={page + 1}>; rel="next"'} if page < 30 else {})
        if request.headers.get("if-none-match") == etag:
            connection.answer(304, headers={"ETag": etag})
        else:
            connection.answer(200, f"[{page}]".encode(), headers)

    with Server(application) as server, client(clock) as http:
        polls = [[(page.json(), page.not_modified) for page in http.pages(f"{server.url}/?page=1")] for _ in range(100)]
    assert polls[0] == [([number], False) for number in range(1, 31)]
    assert all(poll == [([number], True) for number in range(1, 31)] for poll in polls[1:])
    assert conditions(server) == [False] * 30 + [True] * 99 * 30
    assert server.connections == 1


def test_an_unchanged_answer_has_the_header_of_the_304_over_its_own(clock: FakeClock) -> None:
    with Server(versioned) as server, client(clock) as http:
        first, second = http.get(server.url), http.get(server.url)
    assert second.content == first.content
    assert (second.status, second.not_modified, first.not_modified) == (200, True, False)
    assert (first.headers["x-asked"], second.headers["x-asked"]) == ("first", "again")


def test_a_date_serves_where_there_is_no_etag(clock: FakeClock) -> None:
    def application(request: Request, connection: Connection) -> None:
        known = request.headers.get("if-modified-since") == STAMP
        connection.answer(304 if known else 200, b"" if known else b"x", {"Last-Modified": STAMP, "Date": LATER})

    with Server(application) as server, client(clock) as http:
        http.get(server.url)
        assert http.get(server.url).not_modified


def test_nothing_is_remembered_across_credentials_or_header_fields(clock: FakeClock) -> None:
    with Server(versioned) as server, client(clock) as http:
        answers = [
            http.get(server.url).content,
            http.get(server.url, credentials={"Authorization": "one"}).content,
            http.get(server.url, credentials={"Authorization": "two"}).content,
            http.get(server.url, headers={"Accept": "text/html"}).content,
            http.get(f"{server.url}/other").content,
        ]
        assert conditions(server) == [False] * 5
        assert http.get(server.url, credentials={"Authorization": "two"}).content == answers[2]
        assert conditions(server)[-1]
    assert b"for one" in answers[1]
    assert b"for two" in answers[2]


def test_what_changed_replaces_what_was_remembered(clock: FakeClock) -> None:
    steps = script(says(200, b"1", ETag='"1"'), says(200, b"2", ETag='"2"'), says(304))
    with Server(steps) as server, client(clock) as http:
        assert [http.get(server.url).content for _ in range(3)] == [b"1", b"2", b"2"]
    assert [request.headers.get("if-none-match") for request in server.requests] == [None, '"1"', '"2"']


def test_after_a_failure_the_remembered_answer_still_holds(clock: FakeClock) -> None:
    steps = script(says(200, b"1", ETag='"1"'), says(404), says(304))
    with Server(steps) as server, client(clock) as http:
        http.get(server.url)
        with pytest.raises(HttpError):
            http.get(server.url)
        assert http.get(server.url).content == b"1"


CHANGING = {"ETag": "", "Last_Modified": STAMP, "Date": STAMP}
"""What was written within this second may change in it once more, under the same date."""


@pytest.mark.parametrize("field", [{"Cache_Control": "private, no-store"}, {"Vary": "*"}, {"ETag": ""}, CHANGING])
def test_what_must_not_or_cannot_be_remembered_is_not(clock: FakeClock, field: dict[str, str]) -> None:
    with Server(says(200, b"x", **{"ETag": '"1"', **field})) as server, client(clock) as http:
        http.get(server.url)
        http.get(server.url)
    assert conditions(server) == [False, False]


def test_the_caller_can_ask_without_conditions(clock: FakeClock) -> None:
    with Server(versioned) as server, client(clock) as http:
        http.get(server.url)
        assert not http.get(server.url, conditional=False).not_modified
    assert conditions(server) == [False, False]


def test_a_moved_address_is_remembered_where_it_is_now(clock: FakeClock) -> None:
    """A renamed repository redirects for ever: it must stay as cheap as it was."""

    def application(request: Request, connection: Connection) -> None:
        if request.target == "/old":
            connection.answer(301, headers={"Location": "/new"})
        else:
            versioned(request, connection)

    with Server(application) as server, client(clock) as http:
        http.get(f"{server.url}/old")
        assert http.get(f"{server.url}/old").not_modified
    assert conditions(server) == [False, False, False, True]


def test_memory_is_bounded_in_answers_and_the_oldest_go(clock: FakeClock) -> None:
    with Server(versioned) as server, client(clock) as http:
        for number in range(300):
            http.get(f"{server.url}/{number}")
        assert http.get(f"{server.url}/299").not_modified
        assert not http.get(f"{server.url}/0").not_modified
