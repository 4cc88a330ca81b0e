"""What goes wrong with a server: in time, as an error a person can act on, and over when the cause is."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import store_checks
from dewy.errors import CacheError
from dewy_cache_redis.store import RedisStore
from redis_server import RedisServer
from redis_stores import store_of
from server_processes import free_port, wait_until
from store_checks import SOON
from tcp_proxy import Proxy

PASSWORD = "s3cret-password-of-the-test"

CALLS: tuple[Callable[[RedisStore], object], ...] = (
    lambda store: store.get("a"),
    lambda store: store.set("a", b"x"),
    lambda store: store.delete("a"),
    lambda store: list(store.keys("a")),
    lambda store: store.compare_and_set("a", None, b"x"),
    lambda store: store.watch("a", None, 1),
)


def failure_of(call: Callable[[RedisStore], object], store: RedisStore, within: float = 10) -> CacheError:
    return store_checks.failure_of(lambda: call(store), within=within, secrets=[PASSWORD])


# ----------------------------------------------------------------------------------------------------- not there, not well


@pytest.mark.parametrize("call", CALLS)
def test_nobody_there(call: Callable[[RedisStore], object]) -> None:
    error = failure_of(call, store_of(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}"), within=SOON)
    assert "Connection refused" in error.message
    assert "127.0.0.1" in error.message


def test_host_has_no_name() -> None:
    assert "cannot be resolved" in failure_of(CALLS[0], store_of("redis://no-such-host.invalid")).message


def test_no_socket(tmp_path: Path) -> None:
    assert "no such socket" in failure_of(CALLS[0], store_of(f"redis+unix://{tmp_path}/none.sock")).message


@pytest.mark.parametrize("own_server", ["redis"], indirect=True)
def test_frozen_server_is_given_up_in_time(own_server: RedisServer) -> None:
    """By a call on a new connection and by one on an old one, all at the same time; it works again when the server does."""
    old = store_of(own_server.url)
    old.set("a", b"x")
    own_server.freeze()
    threads, took = [], []

    def measure(call: Callable[[RedisStore], object], store: RedisStore) -> None:
        started = time.monotonic()
        with suppress(CacheError):
            call(store)
            return
        took.append(time.monotonic() - started)

    for store in (old, store_of(own_server.url)):
        for call in CALLS:
            threads.append(threading.Thread(target=measure, args=(call, store)))
            threads[-1].start()
    for thread in threads:
        thread.join(20)
    assert len(took) == len(threads)
    assert max(took) < 10
    own_server.thaw()
    old.set("b", b"again")  # "a" it may set or remove only now, for it was asked to
    assert old.get("b") == b"again"


def test_server_that_trickles_is_given_up_in_time(server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and all of them never would."""
    monkeypatch.setattr("dewy_cache_redis.connection._PATIENCE", 1.0)
    store_of(server.url).set(prefix, b"x" * 1000)
    with Proxy(server.port) as proxy:
        proxy.trickle = 0.1
        error = failure_of(lambda store: store.get(prefix), store_of(f"redis://{proxy.address}"), within=SOON)
    assert "in time" in error.message


def test_restarted_server_is_no_error(own_server: RedisServer) -> None:
    """The next call makes a new connection; that of a claim too, for nothing was sent over the old one."""
    store = store_of(own_server.url)
    for call in CALLS[:5]:
        store.set("other", b"x")
        own_server.stop()
        own_server.start()
        call(store)
    assert store.compare_and_set("b", None, b"x")


def test_connection_that_died_in_silence_is_made_anew(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was idle is tried out first, so that a claim does not end in uncertainty."""
    monkeypatch.setattr("dewy_cache_redis.links._CHECK_AFTER", 0.01)
    with Proxy(server.port) as proxy:
        store = store_of(f"redis://{proxy.address}")
        store.get(prefix)
        proxy.mute()
        monkeypatch.setattr("dewy_cache_redis.connection._PONG", 0.3)  # it comes never: before, it had time to
        time.sleep(0.02)  # idle for longer than what was set above
        assert store.compare_and_set(prefix, None, b"x")
        assert proxy.connections == 2


# --------------------------------------------------------------------------------------------------------- broken answers


def test_answer_cut_off_is_asked_for_again(server: RedisServer, prefix: str) -> None:
    """Where that is the same; and half a value is never taken for a whole one."""
    value = b"v" * 5000
    store_of(server.url).set(prefix, value)
    with Proxy(server.port) as proxy:
        store = store_of(f"redis://{proxy.address}")
        cuts = iter([100])
        proxy.cut_when = lambda piece: next(cuts, None) if piece.startswith(b"$5000") else None
        assert store.get(prefix) == value
        proxy.cut_when = lambda piece: 100 if piece.startswith(b"$5000") else None
        failure_of(lambda store: store.get(prefix), store)
        proxy.cut_when = lambda _piece: None
        assert store.get(prefix) == value


def test_lost_answer_of_a_claim_is_an_error(server: RedisServer, prefix: str) -> None:
    """It was done and must not be said to have failed for somebody else's sake; nor be done twice."""
    store = store_of(server.url)
    with Proxy(server.port) as proxy:
        through = store_of(f"redis://{proxy.address}")
        through.get(prefix)
        proxy.cut_when = lambda piece: 0 if piece == b":1\r\n" else None
        failure_of(lambda store: store.compare_and_set(prefix, None, b"mine"), through)
        sent = sum(b"EVAL" in request for request in proxy.requests)
    assert sent == 1, "it was sent again"
    assert store.get(prefix) == b"mine"


def test_lost_answer_of_a_plain_change_is_asked_for_again(server: RedisServer, prefix: str) -> None:
    store = store_of(server.url)
    with Proxy(server.port) as proxy:
        through = store_of(f"redis://{proxy.address}")
        through.get(prefix)
        cuts = iter([0])
        proxy.cut_when = lambda piece: next(cuts, None) if piece == b"+OK\r\n" else None
        through.set(prefix, b"x")
        assert store.get(prefix) == b"x"
        cuts = iter([0])
        proxy.cut_when = lambda piece: next(cuts, None) if piece.startswith(b":") else None
        through.delete(prefix)
        assert store.get(prefix) is None
        sent = b"".join(proxy.requests)
        assert [sent.count(command) for command in (b"SET\r\n$", b"DEL\r\n$")] == [2, 2]


def test_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has filled the memory."""
    monkeypatch.setattr("dewy_cache_redis.bounds._MOST_BYTES", 1 << 20)
    with Proxy(0, b"$99999999999\r\n" + b"x" * (4 << 20)) as stranger:
        error = failure_of(CALLS[0], store_of(f"redis://{stranger.address}"), within=SOON)
    assert "far too large" in error.message


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n",
        b"\r\n",
        b"$x\r\n",
        b"*1\r\n" * 5000,
        b"-\xff\xfe\r\n",
    ],
    ids=["http", "smtp", "ssh", "tls", "blank", "no number", "nested", "no text"],
)
def test_stranger_on_the_port(words: bytes) -> None:
    """Whatever it says, and to whatever it is said: no call takes it for an answer."""
    with Proxy(0, words) as stranger:
        store = store_of(f"redis://:{PASSWORD}@{stranger.address}")
        for call in CALLS:
            failure_of(call, store)


# ------------------------------------------------------------------------------------------------------------- refusals


def refusal(url: str, call: Callable[[RedisStore], object], says: str) -> CacheError:
    error = failure_of(call, store_of(url))
    assert says in error.message
    assert error.hint
    return error


def test_passwords(own_server: RedisServer) -> None:
    """None, a wrong one, a needless one: three different cures."""
    address = f"127.0.0.1:{own_server.port}"
    refusal(f"redis://:{PASSWORD}@{address}", CALLS[0], "has no password")
    own_server.admin("CONFIG", "SET", "requirepass", PASSWORD)
    refusal(f"redis://{address}", CALLS[0], "wants a password")
    refusal(f"redis://:{PASSWORD}x@{address}", CALLS[0], "does not take")
    refusal(f"redis://nobody:{PASSWORD}@{address}", CALLS[0], "does not take")
    assert store_of(f"redis://:{PASSWORD}@{address}").get("a") is None
    assert store_of(f"redis://default@{address}", {"REDIS_PASSWORD": PASSWORD}).get("a") is None


def test_read_only_replica(own_server: RedisServer) -> None:
    """Says so for every way to write, and reading works; when it becomes a master, writing does too."""
    own_server.admin("REPLICAOF", "127.0.0.1", 1)
    store = store_of(own_server.url)
    own_server.admin("CONFIG", "SET", "replica-serve-stale-data", "yes")
    assert store.get("a") is None
    for call in (CALLS[1], CALLS[2], CALLS[4]):
        error = refusal(own_server.url, call, "read-only replica")
        assert "Sentinels" in error.hint
    own_server.admin("CONFIG", "SET", "replica-serve-stale-data", "no")
    refusal(own_server.url, CALLS[0], "lost its master")
    own_server.admin("REPLICAOF", "NO", "ONE")
    assert store.compare_and_set("a", None, b"x")


def test_full_memory(own_server: RedisServer) -> None:
    """Nothing is stored, reading and deleting go on, and so does everything when there is room."""
    store = store_of(own_server.url)
    store.set("kept", b"x")
    own_server.admin("CONFIG", "SET", "maxmemory", 1)
    for call in (CALLS[1], CALLS[4]):
        assert "max-size" in refusal(own_server.url, call, "memory is full").hint
    assert store.get("kept") == b"x"
    assert store.compare_and_set("kept", b"x", None)
    own_server.admin("CONFIG", "SET", "maxmemory", 0)
    assert store.get("a") is None, "what failed has been done"
    store.set("a", b"x")


def test_disk_that_cannot_be_saved_to(own_server: RedisServer, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "server")
    own_server.admin("CONFIG", "SET", "save", "3600 1")
    own_server.admin("BGSAVE")
    wait_until(lambda: own_server.admin("INFO", "persistence")["rdb_last_bgsave_status"] == "err")
    for call in (CALLS[1], CALLS[4]):
        refusal(own_server.url, call, "cannot save to its disk")


def test_replicas_that_are_lacking(own_server: RedisServer) -> None:
    own_server.admin("CONFIG", "SET", "min-replicas-to-write", 1)
    for call in (CALLS[1], CALLS[4]):
        refusal(own_server.url, call, "lacks replicas")


def test_no_such_database(server: RedisServer) -> None:
    assert "0 to 15" in refusal(f"{server.url}/999", CALLS[0], "no database of that number").hint


def test_key_of_another_program(server: RedisServer, prefix: str) -> None:
    server.admin("RPUSH", prefix, "x")
    for call in (lambda store: store.get(prefix), lambda store: store.compare_and_set(prefix, None, b"x")):
        assert "prefix" in refusal(server.url, call, "another program").hint


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            b"-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "save to its disk",
        ),
        (
            b"-ERR Error running script (call to f_1): @user_script:11: @user_script: 11: -MISCONF Redis is",
            "save to its disk",
        ),
        (b"-LOADING Redis is loading the dataset in memory", "still loads"),
        (b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "busy"),
        (b"-MOVED 3999 127.0.0.1:6381", "Redis Cluster"),
        (b"-CLUSTERDOWN The cluster is down", "Redis Cluster"),
        (b"-DENIED Redis is running in protected mode", "protected mode"),
        (b"-ERR max number of clients reached", "as many clients"),
        (b"-ERR something new. \x1b[31m", "something new"),
    ],
)
def test_refusals_of_a_server_in_trouble(words: bytes, says: str) -> None:
    """As the servers word them."""
    with Proxy(0, words + b"\r\n") as stranger:
        error = failure_of(CALLS[4], store_of(f"redis://{stranger.address}"))
    assert says in error.message
    assert "\x1b" not in error.message


def test_password_that_a_server_repeats_is_not_shown() -> None:
    """One without AUTH quotes what came after the command."""
    with Proxy(0, f"-ERR unknown command `AUTH`, with args beginning with: `{PASSWORD}`, \r\n".encode()) as stranger:
        error = failure_of(CALLS[0], store_of(f"redis://:{PASSWORD}@{stranger.address}"))
    assert "lacks a command" in error.message
