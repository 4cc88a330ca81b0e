"""Downloads: streamed, resumed after a cut, and never a mixture of two files (R33)."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from dewy.errors import ArtifactError
from dewy.http import HttpClient, HttpError, Limits, RateLimited, Retries
from dewy.types import Stated
from http_server import Application, Connection, Hangup, Request, Server, file_of, hangs, resets, says, script

CONTENT = os.urandom(700_000)
DIGEST = f"sha256:{sha256(CONTENT).hexdigest()}"
MODIFIED, LATER = "Fri, 15 Mar 2024 14:30:22 GMT", "Fri, 15 Mar 2024 15:00:00 GMT"


class Sink:
    """Takes ``write`` and nothing else."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.largest = 0

    def write(self, data: bytes) -> int:
        self.content += data
        self.largest = max(self.largest, len(data))
        return len(data)


@pytest.fixture
def http() -> Iterator[HttpClient]:
    limits = Limits(silence=0.5, stall=0.5, connect=1)
    with HttpClient({}, wait=lambda _seconds: None, limits=limits, retries=Retries(tries=5)) as client:
        yield client


def fetch(http: HttpClient, url: str, **how: object) -> tuple[bytes, Stated]:
    sink = Sink()
    stated = http.download(url, sink, **how)  # type: ignore[arg-type]
    return bytes(sink.content), stated


def part(start: int, body: bytes, total: int = len(CONTENT), **headers: str) -> Application:
    span = f"bytes {start}-{start + len(body) - 1}/{total}"
    return says(206, body, **{"Content_Range": span, **headers})


def cut(after: int, content: bytes = CONTENT, **headers: str) -> Application:
    """Begins to send a whole file and breaks off."""

    def application(_request: Request, connection: Connection) -> None:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.answer(200, content[:after], {"Content-Length": str(len(content)), **fields})
        raise Hangup

    return application


def test_a_file_comes_in_pieces_with_what_the_server_states_of_it(http: HttpClient) -> None:
    stated_digest = b64encode(sha256(CONTENT).digest()).decode()
    with Server(file_of(CONTENT, ETag='"1"', Repr_Digest=f"sha-256=:{stated_digest}:")) as server:
        sink = Sink()
        stated = http.download(server.url, sink)  # type: ignore[arg-type]
    assert bytes(sink.content) == CONTENT
    assert stated == Stated(len(CONTENT), (DIGEST,))
    assert sink.largest <= 1 << 16
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_an_encoding_is_not_undone(http: HttpClient) -> None:
    """A ``.tar.gz`` served with a content encoding is the archive that was published, not the tar inside."""
    with Server(says(200, b"\x1f\x8bgz", Content_Encoding="gzip")) as server:
        assert fetch(http, server.url)[0] == b"\x1f\x8bgz"


@pytest.mark.parametrize("size", [0, 1])
def test_small_files_are_files_too(http: HttpClient, size: int) -> None:
    with Server(file_of(b"x" * size)) as server:
        assert fetch(http, server.url) == (b"x" * size, Stated(size))


def test_a_chunked_answer_states_no_size(http: HttpClient) -> None:
    def application(_request: Request, connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    with Server(application) as server:
        assert fetch(http, server.url) == (b"hello", Stated(None))


# ------------------------------------------------------------------------------------------------------------------ resume

IDENTITIES = [{"ETag": '"abc"'}, {"Last_Modified": MODIFIED, "Date": LATER}]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_three_cuts_later_the_bytes_are_right(http: HttpClient, identity: dict[str, str]) -> None:
    with Server(file_of(CONTENT, cuts=[200_000, 0, 300_000], **identity)) as server:
        content, stated = fetch(http, server.url)
    assert content == CONTENT
    assert stated.size == len(CONTENT)
    asked = [request.headers.get("range") for request in server.requests]
    assert asked[0] is None
    assert [wanted is not None for wanted in asked] == [False, True, True, True]
    assert {request.headers.get("if-range") for request in server.requests[1:]} == {next(iter(identity.values()))}


def test_a_cut_before_the_first_byte_starts_again_also_without_an_etag(http: HttpClient) -> None:
    with Server(file_of(CONTENT, cuts=[0, 0])) as server:
        assert fetch(http, server.url)[0] == CONTENT


def test_a_long_download_may_be_cut_often_as_long_as_it_gets_on(http: HttpClient) -> None:
    content = os.urandom(14 << 20)
    with Server(file_of(content, cuts=[(1 << 20) + 70_000] * 12, ETag='"1"')) as server:
        assert fetch(http, server.url)[0] == content
    assert len(server.requests) == 13


def test_a_server_that_cuts_for_ever_is_given_up(http: HttpClient) -> None:
    with Server(file_of(CONTENT, cuts=[10] * 100, ETag='"1"')) as server:
        with pytest.raises(HttpError, match="broke off") as caught:
            fetch(http, server.url)
        assert len(server.requests) == 5
    assert caught.value.transient


def test_a_stall_counts_as_a_cut(http: HttpClient) -> None:
    def stalls(_request: Request, connection: Connection) -> None:
        connection.answer(200, CONTENT[:1000], {"Content-Length": str(len(CONTENT)), "ETag": '"1"'})
        connection.hang()

    with Server(script(stalls, file_of(CONTENT, ETag='"1"'))) as server:
        assert fetch(http, server.url)[0] == CONTENT
    assert len(server.requests) == 2


def test_a_download_that_crawls_counts_as_cut(http: HttpClient) -> None:
    def crawls(_request: Request, connection: Connection) -> None:
        connection.send(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 700000\r\n\r\n')
        connection.drip(CONTENT, every=0.06)

    with Server(script(crawls, file_of(CONTENT, ETag='"1"'))) as server:
        assert fetch(http, server.url)[0] == CONTENT
    assert len(server.requests) == 2


def test_a_slow_download_that_gets_on_is_left_to_it() -> None:
    """There is no limit on the whole: only on silence, and on crawling."""

    def slow(_request: Request, connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n")
        for _ in range(6):
            connection.send(b"x" * 1000)
            connection.stopping.wait(0.15)

    with Server(slow) as server, HttpClient({}, limits=Limits(total=0.3, silence=0.4, stall=0.2)) as http:
        assert fetch(http, server.url)[0] == b"x" * 6000


def test_a_server_without_ranges_sends_all_again_and_what_is_there_is_passed_over(http: HttpClient) -> None:
    with Server(script(cut(5000, ETag='"1"'), cut(90_000, ETag='"1"'), says(200, CONTENT, ETag='"1"'))) as server:
        assert fetch(http, server.url)[0] == CONTENT
    assert len(server.requests) == 3


def test_a_cut_right_at_the_end_needs_nothing_more(http: HttpClient) -> None:
    def all_but_the_end(_request: Request, connection: Connection) -> None:
        connection.send(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
        raise Hangup

    with Server(script(all_but_the_end, file_of(b"hello", ETag='"1"'))) as server:
        assert fetch(http, server.url) == (b"hello", Stated(5))


def test_each_resume_asks_the_first_url_for_a_new_signature_and_storage_gets_no_token(http: HttpClient) -> None:
    with Server(file_of(CONTENT, cuts=[100_000], ETag='"1"')) as storage:
        numbers = iter(range(9))

        def api(_request: Request, connection: Connection) -> None:
            connection.answer(302, headers={"Location": f"{storage.url}/signed?sig={next(numbers)}"})

        with Server(api) as server:
            content, _ = fetch(http, server.url, credentials={"Authorization": "canary"})
    assert content == CONTENT
    assert [request.target for request in storage.requests] == ["/signed?sig=0", "/signed?sig=1"]
    assert "canary" not in repr(storage.requests)
    assert [request.headers["authorization"] for request in server.requests] == ["canary", "canary"]


OTHER = os.urandom(len(CONTENT))

CHANGED: dict[str, Application] = {
    "a whole other file": says(200, OTHER, ETag='"2"'),
    "a whole file of another size under the same ETag": says(200, OTHER + b"x", ETag='"1"'),
    "a whole file without an ETag": says(200, OTHER),
    "a part of another file": part(1000, OTHER[1000:], ETag='"2"'),
    "a part of a file of another size": part(1000, OTHER[1000:], total=len(CONTENT) + 9, ETag='"1"'),
    "a file that is too short now": says(416, Content_Range="bytes */500", ETag='"2"'),
    "no such range, and no reason": says(416),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_file_that_changed_between_cuts_is_never_mixed_with_the_one_before(http: HttpClient, how: str) -> None:
    sink = Sink()
    with Server(script(cut(1000, ETag='"1"'), CHANGED[how])) as server:
        with pytest.raises(ArtifactError, match="changed while it was downloaded") as caught:
            http.download(f"{server.url}/a?sig=canary", sink)  # type: ignore[arg-type]
        assert len(server.requests) == 2
    assert sink.content == CONTENT[:1000]
    assert "after a cut at 1000 bytes" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_file_that_changed_by_its_date_is_not_mixed_either(http: HttpClient) -> None:
    first = cut(1000, Last_Modified=MODIFIED, Date=LATER)
    changed = part(1000, OTHER[1000:], Last_Modified=LATER)
    with Server(script(first, changed)) as server, pytest.raises(ArtifactError, match="changed"):
        fetch(http, server.url)


WRONG_PARTS = [part(999, CONTENT[999:]), part(0, CONTENT), says(206, CONTENT[1000:]), says(204)]


@pytest.mark.parametrize("answer", WRONG_PARTS)
def test_another_part_than_the_missing_one_is_refused(http: HttpClient, answer: Application) -> None:
    with (
        Server(script(cut(1000, ETag='"1"'), answer)) as server,
        pytest.raises(ArtifactError, match="another part than the one that is missing"),
    ):
        fetch(http, server.url)


@pytest.mark.parametrize("identity", [{}, {"ETag": 'W/"1"'}, {"Last_Modified": MODIFIED, "Date": MODIFIED}])
def test_what_cannot_be_known_again_is_not_resumed(http: HttpClient, identity: dict[str, str]) -> None:
    with Server(cut(1000, CONTENT, **identity)) as server:
        with pytest.raises(ArtifactError, match="cannot be resumed after 1000 bytes") as caught:
            fetch(http, server.url)
        assert len(server.requests) == 1
    assert "broke off" in str(caught.value)


# --------------------------------------------------------------------------------------------------------- lies and refusals


def test_less_than_the_stated_length_is_noticed(http: HttpClient) -> None:
    with Server(cut(len(CONTENT) - 1)) as server, pytest.raises(ArtifactError, match="broke off"):
        fetch(http, server.url)


def test_a_part_that_ends_before_the_whole_does_is_noticed_and_gone_on_from(http: HttpClient) -> None:
    """A well-formed 206 with fewer bytes than are missing."""
    steps = script(cut(1000, ETag='"1"'), part(1000, CONTENT[1000:5000], ETag='"1"'), file_of(CONTENT, ETag='"1"'))
    with Server(steps) as server:
        assert fetch(http, server.url)[0] == CONTENT
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=1000-", "bytes=5000-"]


def test_more_than_the_stated_length_is_not_taken(http: HttpClient) -> None:
    with Server(says(200, CONTENT + b"more", Content_Length=str(len(CONTENT)))) as server:
        assert fetch(http, server.url) == (CONTENT, Stated(len(CONTENT)))


def test_a_part_with_more_than_is_missing_is_refused(http: HttpClient) -> None:
    with (
        Server(script(cut(1000, ETag='"1"'), part(1000, CONTENT, ETag='"1"'))) as server,
        pytest.raises(ArtifactError, match=f"sends more than the {len(CONTENT)} bytes"),
    ):
        fetch(http, server.url)


@pytest.mark.parametrize("answer", [part(0, CONTENT[:10]), says(204)])
def test_something_else_than_the_whole_file_is_refused_at_the_start(http: HttpClient, answer: Application) -> None:
    with Server(answer) as server, pytest.raises(HttpError, match="where the whole file was asked for"):
        fetch(http, server.url)


def test_a_missing_file_is_a_404_and_a_busy_server_is_tried_again(http: HttpClient) -> None:
    with Server(script(resets, says(503), says(404))) as server, pytest.raises(HttpError) as caught:
        fetch(http, server.url)
    assert caught.value.status == 404


def test_a_rate_limit_ends_a_download_at_once(http: HttpClient) -> None:
    with Server(says(429, Retry_After="100")) as server, pytest.raises(RateLimited) as caught:
        fetch(http, server.url)
    assert caught.value.retry_after == 100


def test_a_header_that_never_comes_ends_a_download() -> None:
    with (
        Server(hangs) as server,
        HttpClient({}, limits=Limits(silence=0.2), retries=Retries(tries=1)) as http,
        pytest.raises(HttpError, match="went silent"),
    ):
        fetch(http, server.url)


def test_a_full_disk_is_no_fault_of_the_network(http: HttpClient) -> None:
    class Full(io.RawIOBase):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    with Server(file_of(CONTENT, ETag='"1"')) as server:
        with pytest.raises(OSError, match="No space left"):
            http.download(server.url, Full())  # type: ignore[arg-type]
        assert len(server.requests) == 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """200 MiB in a process of its own, which grows by less than 32 MiB."""
    piece = bytes(1 << 20)

    def large(request: Request, connection: Connection) -> None:
        if request.target == "/small":
            connection.answer()
            return
        connection.answer(200, headers={"Content-Length": str(200 << 20)})
        for _ in range(200):
            connection.send(piece)

    code = """
import resource, sys
from dewy.http import HttpClient
with HttpClient({}) as http, open(sys.argv[2], "wb") as file:
    http.get(sys.argv[1] + "/small")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stated = http.download(sys.argv[1], file)
print(stated.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    target = tmp_path / "large"
    with Server(large) as server:
        command = [sys.executable, "-c", code, server.url, str(target)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    size, grown = map(int, printed.split())
    assert (size, target.stat().st_size) == (200 << 20, 200 << 20)
    assert grown < 32 * 1024, f"grew by {grown} KiB"
