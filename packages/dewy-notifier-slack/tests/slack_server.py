"""A server that answers as Slack's Web API is documented to do, and is as strict about what it is sent."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from slack_view import complaints_about, shown

__all__ = ["TOKEN", "Channel", "Fault", "Posted", "SlackServer"]

TOKEN = "xoxb-canary-0123456789-token"

Answer = dict[str, Any]


class Refusal(Exception):
    """``ok: false``, with Slack's word for the reason."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer: Answer = {"ok": False, "error": error, **more}


@dataclass
class Channel:
    """A channel of the workspace, and whether the app is in it."""

    id: str
    name: str
    joined: bool = True
    private: bool = False
    archived: bool = False

    def as_json(self) -> Answer:
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": True,
            "is_member": self.joined,
            "is_private": self.private,
            "is_archived": self.archived,
        }


@dataclass(frozen=True)
class Posted:
    """A message that was taken."""

    channel: Channel
    ts: str
    request: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """As a person's client shows it."""
        return shown(self.request)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call: an answer that is not Slack's, or none.

    Attributes:
        body: What is answered.
        status: Its HTTP status.
        headers: More headers, or others.
        drip: Seconds before each byte of the body.
        drop: After so many bytes of the body the connection is closed; 0 for at once, without a header.
        hang: Nothing is answered until the server ends.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float = 0.0
    drop: int | None = None
    hang: bool = False

    @classmethod
    def error(cls, code: str) -> Fault:
        """Slack's own refusal."""
        return cls(json.dumps({"ok": False, "error": code}).encode())


class SlackServer:
    """A workspace, open to be changed between calls.

    Attributes:
        channels: Those there are; at first the app is in #deploys and #general.
        members: The IDs of people whom the app may write to.
        scopes: What the token is good for.
        page: How many channels a page of their list has.
        requests: Every call: its method and its arguments.
        posted: Every message that was taken.
        always: What goes wrong with every call.
    """

    def __init__(self) -> None:
        self.channels = [Channel("C0000000001", "deploys"), Channel("C0000000002", "general")]
        self.members = {"U0000000001"}
        self.scopes = {"chat:write", "channels:join", "channels:read"}
        self.page = 100
        self.requests: list[tuple[str, Answer]] = []
        self.posted: list[Posted] = []
        self.always: Fault | None = None
        self._faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.slack = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"  # without a slash at its end, as people write it
        self.environ = {"SLACK_TOKEN": TOKEN, "SLACK_API_URL": self.url}

    def close(self) -> None:
        """Ends the server, and every answer that hangs. May be called again."""
        self.ended.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def meets(self, method: str, *faults: Fault) -> None:
        """The next calls of a method meet these, one each."""
        self._faults[method] += faults

    def called(self, method: str) -> int:
        """How often a method was called."""
        return [name for name, _ in self.requests].count(method)

    def fault_of(self, method: str) -> Fault | None:
        """What this call meets."""
        waiting = self._faults[method]
        return waiting.pop(0) if waiting else self.always

    # ----------------------------------------------------------------------------------------------------- the methods

    def answer(self, method: str, arguments: Answer) -> Answer:
        """What a method answers. Raises Refusal."""
        match method:
            case "chat.postMessage":
                return self._post(arguments)
            case "conversations.join":
                return self._join(arguments)
            case "conversations.list":
                return self._list(arguments)
        raise Refusal("unknown_method", req_method=method)

    def _needs(self, scope: str, *others: str) -> None:
        if scope not in self.scopes:
            raise Refusal("missing_scope", needed=",".join((scope, *others)), provided=",".join(sorted(self.scopes)))

    def _post(self, arguments: Answer) -> Answer:
        self._needs("chat:write")
        channel = self._addressed(arguments.get("channel", ""))
        if channel.archived:
            raise Refusal("is_archived")
        if not channel.joined:
            raise Refusal("channel_not_found" if channel.private else "not_in_channel")
        for code, complaint in complaints_about(arguments):
            raise Refusal(code, response_metadata={"messages": [f"[ERROR] {complaint}"]})
        posted = Posted(channel, f"1710513022.{len(self.posted):06}", arguments)
        self.posted.append(posted)
        message: Answer = {"type": "message", "bot_id": "B1", "ts": posted.ts, "text": arguments.get("text", "")}
        if "thread_ts" in arguments:  # also where no message is known by it: Slack takes that, too
            message["thread_ts"] = arguments["thread_ts"]
        return {"channel": channel.id, "ts": posted.ts, "message": message}

    def _join(self, arguments: Answer) -> Answer:
        self._needs("channels:join")
        channel = next((one for one in self.channels if one.id == arguments.get("channel")), None)  # never by its name
        if channel is None:
            raise Refusal("channel_not_found")
        if channel.private:
            raise Refusal("method_not_supported_for_channel_type")
        if channel.archived:
            raise Refusal("is_archived")
        warned = {"warning": "already_in_channel"} if channel.joined else {}
        channel.joined = True
        return {"channel": channel.as_json(), **warned}

    def _list(self, arguments: Answer) -> Answer:
        self._needs("channels:read", "groups:read", "mpim:read", "im:read")
        if arguments.get("types", "public_channel") != "public_channel":
            self._needs("groups:read")
        if not 0 < int(arguments.get("limit", "100")) < 1000:
            raise Refusal("invalid_limit")
        cursor = arguments.get("cursor", "at0")
        if not cursor.startswith("at"):
            raise Refusal("invalid_cursor")
        unarchived = arguments.get("exclude_archived") in ("1", "true")
        listed = [one for one in self.channels if not one.private and not (one.archived and unarchived)]
        start = int(cursor[2:])
        end = start + self.page
        return {
            "channels": [one.as_json() for one in listed[start:end]],
            "response_metadata": {"next_cursor": f"at{end}" if end < len(listed) else ""},
        }

    def _addressed(self, address: str) -> Channel:
        if address in self.members:
            return Channel(f"D{address[1:]}", "")
        for channel in self.channels:
            if address in (channel.id, channel.name, f"#{channel.name}"):
                return channel
        raise Refusal("channel_not_found")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    slack: SlackServer


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Server

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        slack = self.server.slack
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with slack.lock:
            try:
                method, arguments = self._read(body)
                slack.requests.append((method, arguments))
                fault = slack.fault_of(method)
                answer = {} if fault else {"ok": True, **slack.answer(method, arguments)}
            except Refusal as refusal:
                fault, answer = None, refusal.answer
        with suppress(ConnectionError):  # who has lost patience may have gone
            self._commit(fault) if fault else self._reply(Fault(json.dumps(answer).encode()))

    def _read(self, body: bytes) -> tuple[str, Answer]:
        """The method and its arguments, of a call that is well formed and comes from the app."""
        if not self.path.startswith("/api/") or "?" in self.path or "//" in self.path:
            raise Refusal("unknown_method", req_method=self.path)
        arguments = dict(self._arguments(body))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token or "token" in arguments:
            raise Refusal("not_authed")
        if token != TOKEN:
            raise Refusal("invalid_auth")
        return self.path.removeprefix("/api/"), arguments

    def _arguments(self, body: bytes) -> Iterator[tuple[str, Any]]:
        kind = self.headers.get_content_type()
        if kind == "application/json":
            if self.headers.get_content_charset() != "utf-8":
                raise Refusal("missing_charset")
            arguments = json.loads(body)
            if not isinstance(arguments, dict):
                raise Refusal("json_not_object")
            yield from arguments.items()
        elif kind == "application/x-www-form-urlencoded":
            yield from ((name, values[-1]) for name, values in parse_qs(body.decode(), keep_blank_values=True).items())
        else:
            raise Refusal("invalid_post_type")

    def _commit(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.hang:
            self.server.slack.ended.wait()
        elif fault.drop != 0:
            self._reply(fault)

    def _reply(self, answer: Fault) -> None:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        body = answer.body[: answer.drop]
        if answer.drip:
            self._drip(body, answer.drip)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes, seconds: float) -> None:
        """Byte by byte, so that no single wait is long."""
        deadline = time.monotonic() + 60
        for byte in body:
            if self.server.slack.ended.wait(seconds) or time.monotonic() > deadline:
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
