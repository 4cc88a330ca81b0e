"""What goes wrong with an agent: in time, as an error a person can act on, and over when the cause is."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import store_checks
from consul_agent import Agent, start_agent
from consul_stores import store_of
from dewy.errors import CacheError
from dewy_cache_consul import store as store_module
from dewy_cache_consul.store import ConsulStore
from server_processes import free_port
from store_checks import SOON
from tcp_proxy import Proxy

TOKEN = "5ec4e7ed-0000-4000-8000-token0f0test"

CALLS: tuple[Callable[[ConsulStore], object], ...] = (
    lambda store: store.get("a"),
    lambda store: store.set("a", b"x"),
    lambda store: store.delete("a"),
    lambda store: list(store.keys("a")),
    lambda store: store.compare_and_set("a", None, b"x"),
    lambda store: store.watch("a", None, 1),
)


def failure_of(call: Callable[[ConsulStore], object], url: str, within: float = 10) -> CacheError:
    """With a token in the URL, which must not be in the error."""
    store = store_of(f"{url}/dewy?token={TOKEN}")
    return store_checks.failure_of(lambda: call(store), within=within, secrets=[TOKEN])


def answer(status: str, body: str = "", headers: str = "X-Consul-Index: 7\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()


# ----------------------------------------------------------------------------------------------------- not there, not well


@pytest.mark.parametrize("call", CALLS)
def test_nobody_there(call: Callable[[ConsulStore], object]) -> None:
    error = failure_of(call, f"consul://127.0.0.1:{free_port()}", within=SOON)
    assert "connection refused" in error.message
    assert "127.0.0.1" in error.message
    assert error.hint


def test_host_without_an_address() -> None:
    error = failure_of(CALLS[0], "consul://no-such-host.invalid:8500")
    assert "cannot be resolved" in error.message


@pytest.mark.parametrize("call", CALLS)
def test_agent_that_never_answers(call: Callable[[ConsulStore], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection, and that is all."""
    monkeypatch.setattr(store_module, "_PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure_of(call, f"consul://127.0.0.1:{silent.getsockname()[1]}", within=SOON)
    assert "no answer in time" in error.message


@pytest.mark.parametrize("call", CALLS)
def test_agent_that_drips(agent: Agent, call: Callable[[ConsulStore], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes soon, the last one never."""
    monkeypatch.setattr(store_module, "_PATIENCE", 0.6)
    with Proxy(agent.port) as proxy:
        proxy.trickle = 0.05
        assert "no answer in time" in failure_of(call, f"consul://{proxy.address}", within=SOON).message


def test_calls_are_bounded_to_ten_seconds() -> None:
    assert store_module._PATIENCE < 10


def test_frozen_agent_recovers(own_agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle connection to it is no trap when it goes on, or has been started anew."""
    monkeypatch.setattr(store_module, "_PATIENCE", 1.0)
    store = store_of(own_agent.url)
    store.set("a", b"x")
    own_agent.freeze()
    for call in CALLS:
        store_checks.failure_of(lambda call=call: call(store), within=SOON)
    own_agent.thaw()
    monkeypatch.undo()
    store.set("b", b"again")  # "a" it may remove only now, for it was asked to
    assert store.get("b") == b"again"
    own_agent.stop()
    assert "refused" in store_checks.failure_of(lambda: store.get("a"), within=SOON).message
    own_agent.start()
    assert store.get("a") is None
    assert store.compare_and_set("a", None, b"y")


# ------------------------------------------------------------------------------------------------------- lost in between


def test_idle_connection_that_was_closed_is_no_error(agent: Agent, prefix: str) -> None:
    """Agents close what is idle; a new one is made, and comparing and setting is not lost by it either."""
    with Proxy(agent.port) as proxy:
        store = store_of(f"consul://{proxy.address}")
        for number in range(3):
            store.set(f"{prefix}/{number}", b"x")
            proxy.hang_up()
            assert store.compare_and_set(f"{prefix}/{number}", b"x", b"y")
            proxy.hang_up()
            assert list(store.keys(f"{prefix}/{number}")) == [f"{prefix}/{number}"]
        assert proxy.connections == 7


def test_connections_are_kept(agent: Agent, prefix: str) -> None:
    with Proxy(agent.port) as proxy:
        store = store_of(f"consul://{proxy.address}")
        for _ in range(20):
            store.set(prefix, b"x" * 100_000)
            assert store.get(prefix) == b"x" * 100_000
        assert proxy.connections == 1


@pytest.mark.parametrize("end", [0, 60, 700])
def test_answer_that_is_cut_off_is_never_a_value(agent: Agent, store: ConsulStore, prefix: str, end: int) -> None:
    """Tried once more, and an error then."""
    store.set(prefix, b"value " * 20_000)
    with Proxy(agent.port) as proxy:
        proxy.cut_when = lambda _answer: end
        error = store_checks.failure_of(lambda: store_of(f"consul://{proxy.address}").get(prefix), within=SOON)
        assert "ended before" in error.message
        assert proxy.connections == 2
        cut = iter([end])
        proxy.cut_when = lambda _answer: next(cut, None)
        assert store_of(f"consul://{proxy.address}").get(prefix) == b"value " * 20_000


@pytest.mark.parametrize("value", [b"mine", None])
def test_change_whose_answer_is_lost_is_sent_once(
    agent: Agent, store: ConsulStore, prefix: str, value: bytes | None
) -> None:
    """It may have been done or not, which the error says; here it was."""
    store.set(prefix, b"old")
    with Proxy(agent.port) as proxy:
        proxy.cut_when = lambda _answer: 0 if b"PUT /v1/" in b"".join(proxy.requests) else None
        error = store_checks.failure_of(
            lambda: store_of(f"consul://{proxy.address}").compare_and_set(prefix, b"old", value), within=SOON
        )
        assert "may have been done or not" in error.message
        assert sum(b"PUT /v1/" in request for request in proxy.requests) == 1
    assert store.get(prefix) == value


def test_plain_change_whose_answer_is_lost_is_sent_again(agent: Agent, store: ConsulStore, prefix: str) -> None:
    with Proxy(agent.port) as proxy:
        through = store_of(f"consul://{proxy.address}")
        cuts = iter([0])
        proxy.cut_when = lambda _answer: next(cuts, None)
        through.set(prefix, b"x")
        assert store.get(prefix) == b"x"
        cuts = iter([0])
        through.delete(prefix)
        assert store.get(prefix) is None
        assert [sum(method in request for request in proxy.requests) for method in (b"PUT /v1/", b"DELETE /v1/")] == [2, 2]


def test_last_answer_on_a_connection_is_read() -> None:
    """As gateways give it: each answer closes."""
    with Proxy(0, answer("200 OK", "value", "X-Consul-Index: 7\r\nConnection: close\r\n")) as proxy:
        store = store_of(f"consul://{proxy.address}")
        assert [store.get("a"), store.get("a")] == [b"value", b"value"]
        assert proxy.connections == 2


def test_value_set_again_and_again_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal each time it is read and touched each time it is to be set: given up after a few attempts."""
    entry = '[{"Value": "b2xk", "ModifyIndex": 5}]'
    with Proxy(0) as proxy:
        words = {b"GET ": answer("200 OK", entry), b"PUT ": answer("200 OK", "false")}
        # a body comes with its request, by itself, or with the next request
        proxy.answers = lambda piece: next((words[method] for method in words if method in piece), b"")
        assert not store_of(f"consul://{proxy.address}").compare_and_set("a", b"old", b"new")
        sent = b"".join(proxy.requests)
        assert sent.count(b"PUT ") == sent.count(b"GET ") == store_module._ATTEMPTS


# ------------------------------------------------------------------------------------------------------ answers of others


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "words",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 99999999999\r\n\r\n",
        b"\x00" * 100_000,
    ],
    ids=["ssh", "web", "nothing here", "login", "endless", "huge", "zeros"],
)
def test_stranger_is_not_believed(
    call: Callable[[ConsulStore], object], words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above all its 404 is not "there is no value"."""
    monkeypatch.setattr(store_module, "_PATIENCE", 0.5)
    with Proxy(0, words) as proxy:
        error = failure_of(call, f"consul://{proxy.address}", within=SOON)
    assert "no Consul agent" in error.message or "no answer in time" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("words", "reason", "hint"),
    [
        (answer("500 Internal Server Error", "No cluster leader"), "no leader", "servers"),
        (answer("500 Internal Server Error", "No path to datacenter"), "datacenter", "dc"),
        (answer("500 Internal Server Error", "disk on fire"), "disk on fire", "log"),
        (answer("403 Forbidden", "ACL not found"), "does not know the ACL token", "CONSUL_HTTP_TOKEN"),
        (answer("403 Forbidden", "Permission denied"), "Permission denied", "policy"),
        (answer("413 Request Entity Too Large", "no"), "kv_max_value_size", "limits"),
        (answer("429 Too Many Requests", "slow"), "too many requests", "http_max_conns_per_client"),
        (answer("400 Bad Request", "Client sent an HTTP request to an HTTPS server."), "speaks TLS", "consul+https"),
        (answer("500 Internal Server Error", f"you said {TOKEN}\nand more"), "you said ***", "log"),
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_refusals_are_told(call: Callable[[ConsulStore], object], words: bytes, reason: str, hint: str) -> None:
    with Proxy(0, words) as proxy:
        error = failure_of(call, f"consul://{proxy.address}", within=SOON)
    assert reason in error.message
    assert hint in error.hint


# ---------------------------------------------------------------------------------------------------------------- rights


@pytest.mark.parametrize(("status", "body"), [("200 OK", '["dewy/a"]'), ("404 Not Found", "")])
def test_list_that_lacks_keys_is_an_error(status: str, body: str) -> None:
    """Agents since 1.11 say that they have left out what the token may not read."""
    headers = "X-Consul-Index: 7\r\nX-Consul-Results-Filtered-By-Acls: true\r\n"
    with Proxy(0, answer(status, body, headers)) as proxy:
        error = failure_of(lambda store: store.keys("dewy/"), f"consul://{proxy.address}")
    assert "may not read all keys" in error.message
    assert "key_prefix" in error.hint


README = Path(__file__).parent.parent / "README.md"


def rules() -> str:
    """The policy of the README."""
    found = re.search(r"^```hcl\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def token_with(agent: Agent, rules: str, name: str) -> str:
    """A new token that has just these rights."""
    assert agent.ask("PUT", "/v1/acl/policy", json.dumps({"Name": name, "Rules": rules}).encode(), TOKEN)[0] == 200
    status, body = agent.ask("PUT", "/v1/acl/token", json.dumps({"Policies": [{"Name": name}]}).encode(), TOKEN)
    assert status == 200, body
    return str(json.loads(body)["SecretID"])


def test_rights(tmp_path: Path) -> None:
    """The documented policy is enough for everything, and what is missing is told without the token."""
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"master": TOKEN}}
    with start_agent(tmp_path, {"acl": acl, "primary_datacenter": "dc1"}) as agent:
        token = token_with(agent, rules(), "dewy")
        file = tmp_path / "token"
        file.write_text(f"{token}\n")
        for environ in ({"CONSUL_HTTP_TOKEN": token}, {"CONSUL_HTTP_TOKEN_FILE": str(file)}):
            store = store_of(agent.url, environ)
            store.set("dewy/~a", b"x")
            assert store.get("dewy/~a") == b"x"
            assert list(store.keys("dewy/")) == ["dewy/~a"]
            assert store.compare_and_set("dewy/~a", b"x", b"y")
            assert store.watch("dewy/~a", b"x", 2) == b"y"
            assert store.compare_and_set("dewy/~a", b"y", None)
            store.delete("dewy/~a")
            error = store_checks.failure_of(lambda store=store: store.set("other/a", b"x"), secrets=[token])
            assert "does not allow" in error.message
        store.set("dewy/a", b"x")

        reader = token_with(agent, rules().replace("write", "read"), "reader")
        store = store_of(f"{agent.url}/dewy?token={reader}")
        assert store.get("dewy/a") == b"x"
        for call in (
            lambda: store.set("dewy/a", b"y"),
            lambda: store.delete("dewy/a"),
            lambda: store.compare_and_set("dewy/a", b"x", b"y"),
            lambda: store.compare_and_set("dewy/a", b"x", None),
        ):
            error = store_checks.failure_of(call, secrets=[reader])
            assert "does not allow" in error.message
            assert "key_prefix" in error.hint

        stranger = store_of(f"{agent.url}/dewy?token=00000000-0000-4000-8000-000000000000")
        assert "know the ACL token" in store_checks.failure_of(lambda: stranger.get("dewy/a")).message
        file.write_text("two words")
        renewed = store_of(agent.url, {"CONSUL_HTTP_TOKEN_FILE": str(file)})
        assert str(file) in store_checks.failure_of(lambda: renewed.get("dewy/a")).message
        file.write_text(token)
        assert renewed.get("dewy/a") == b"x"
