"""A real server of Google Cloud Storage's API for tests: ``gcp-storage-emulator``, in a process of its own.

Any test of the tree can use it::

    @pytest.fixture(scope="session")
    def gcs():
        with GcsEmulator() as server:
            yield server

It starts in half a second and keeps everything in memory. What it lacks of the real service is added below, in its own
process: pages, partial answers, conditions on generations, errors in the form of the API, threads, connections that stay
open, objects without an MD5, and a bucket that may only be read.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from http import HTTPStatus
from typing import Any

__all__ = ["READ_ONLY", "GcsEmulator"]

READ_ONLY = "readable"
"""The bucket in which nobody may write."""

_STARTS_WITHIN = 30.0
_POLL = 0.05
_PAGE = 1000


class GcsEmulator:
    """A server, on a port that was free. ``stop`` and ``start`` are for tests of an outage: the address stays."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> GcsEmulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint}

    def client(self) -> Any:
        """A client of Google's that may do all."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # of grpc without grpcio-status, which is another plugin's
            from google.cloud import storage
        from google.auth.credentials import AnonymousCredentials

        return storage.Client(
            project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": self.endpoint}
        )

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"gcp-storage-emulator ended with status {self._process.returncode}: is it installed?")
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"gcp-storage-emulator is not ready after {_STARTS_WITHIN} s")
            time.sleep(_POLL)

    def stop(self) -> None:
        """Stops it at once, as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with contextlib.suppress(OSError), opener.open(self.endpoint, timeout=2):
            return True
        return False


# ------------------------------------------------------------------------------------------- in the process of the server


class _Refused(Exception):
    """A request that the real service would not take."""

    def __init__(self, status: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


def _serve(port: int) -> None:
    from functools import partial
    from http.server import ThreadingHTTPServer

    from gcp_storage_emulator import server
    from gcp_storage_emulator.handlers import objects
    from gcp_storage_emulator.storage import Storage

    objects.ls = _ls
    for name in ("download", "get", "insert"):
        setattr(objects, name, partial(_guarded, getattr(objects, name)))
    objects.compose = partial(_composed, objects.compose)
    server.HANDLERS = tuple(
        (pattern, {method: _renewed(objects, handler) for method, handler in handlers.items()})
        for pattern, handlers in server.HANDLERS
    )
    server._read_data = partial(_read, server._read_data, server._read_raw_data)
    storage = Storage(use_memory_fs=True)
    storage._write_config_to_file = lambda: None  # or every upload writes down all there is
    server.RequestHandler.protocol_version = "HTTP/1.1"
    server.RequestHandler.disable_nagle_algorithm = True
    server.RequestHandler.wbufsize = -1

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that had enough is none."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    Server(("127.0.0.1", port), partial(server.RequestHandler, storage)).serve_forever()


def _renewed(objects: Any, handler: Any) -> Any:
    """The handler of the same name as it is now."""
    return getattr(objects, handler.__name__, handler) if getattr(handler, "__module__", "") == objects.__name__ else handler


def _read(read: Any, read_raw: Any, handler: Any, query: Any) -> Any:
    """What was sent. An upload in two parts is taken apart at once: the mail parser takes a second for 10 MB."""
    kind = handler.headers.get("Content-Type", "")
    if not kind.startswith("multipart/related"):
        return read(handler, query)
    boundary = re.search(r'boundary="?([^";]+)', kind)
    assert boundary, kind
    _, facts, content, _ = read_raw(handler).split(b"--" + boundary[1].encode())
    head, _, body = content.partition(b"\r\n\r\n")
    content_type = head.decode().partition(":")[2].strip()
    return {"meta": json.loads(facts.partition(b"\r\n\r\n")[2]), "content": body[:-2], "content-type": content_type}


def _first(request: Any, name: str) -> str:
    return str(request.query.get(name, [""])[0])


def _fail(response: Any, status: HTTPStatus, reason: str, message: str) -> None:
    response.status = status
    details = {"message": message, "domain": "global", "reason": reason}
    response.json({"error": {"code": status.value, "message": message, "errors": [details]}})


def _ls(request: Any, response: Any, storage: Any) -> None:
    """Lists in pages, objects and prefixes counted together, as the real service does."""
    bucket = request.params["bucket_name"]
    if bucket not in storage.buckets:
        _fail(response, HTTPStatus.NOT_FOUND, "notFound", "The specified bucket does not exist.")
        return
    items, prefixes = storage.get_file_list(bucket, _first(request, "prefix") or None, _first(request, "delimiter") or None)
    entries = sorted(
        [(item["name"], item) for item in items] + [(prefix, None) for prefix in prefixes], key=lambda one: one[0]
    )
    start = int(_first(request, "pageToken") or 0)
    page = entries[start : start + _PAGE]
    folders = [name for name, item in page if item is None]
    objects = [item for _, item in page if item is not None]
    more = str(start + _PAGE) if start + _PAGE < len(entries) else ""
    answer = {"kind": "storage#objects", "nextPageToken": more, "prefixes": folders, "items": objects}
    wanted = set(re.sub(r"\(.*?\)", "", _first(request, "fields")).split(",")) - {""}
    response.json({key: value for key, value in answer.items() if value and (key in wanted or not wanted)})


def _guarded(handler: Any, request: Any, response: Any, storage: Any) -> None:
    """What the handler does, if the conditions are met; with errors in the form of the API."""
    bucket = request.params["bucket_name"]
    try:
        found = _check(request, storage, bucket)
        handler(request, response, storage)
        if request.path.startswith("/download/") and found and found.get("contentEncoding"):
            response["Content-Encoding"] = found["contentEncoding"]
    except _Refused as refused:
        _ = request.data  # what was sent must be read before the next request
        _fail(response, refused.status, refused.reason, refused.message)


def _check(request: Any, storage: Any, bucket: str) -> dict[str, str] | None:
    """The object that is meant, if there is one. Raises _Refused."""
    if bucket not in storage.buckets:
        raise _Refused(HTTPStatus.NOT_FOUND, "notFound", "The specified bucket does not exist.")
    if request.method == "POST" and bucket == READ_ONLY:
        message = "reader@test.iam.gserviceaccount.com does not have storage.objects.create access to the object."
        raise _Refused(HTTPStatus.FORBIDDEN, "forbidden", message)
    key = request.params.get("object_id") or _first(request, "name") or _name_in(request)
    found: dict[str, str] | None = storage.objects.get(bucket, {}).get(key)
    if request.method == "GET" and found is None:
        raise _Refused(HTTPStatus.NOT_FOUND, "notFound", f"No such object: {bucket}/{key}")
    wanted = _first(request, "ifGenerationMatch")
    if wanted and wanted != (found["generation"] if found else "0"):
        message = "At least one of the pre-conditions you specified did not hold."
        raise _Refused(HTTPStatus.PRECONDITION_FAILED, "conditionNotMet", message)
    return found


def _name_in(request: Any) -> str:
    data = request.data
    return str(data.get("meta", data).get("name", "")) if isinstance(data, dict) else ""


def _composed(handler: Any, request: Any, response: Any, storage: Any) -> None:
    """A composite object has no MD5."""
    handler(request, response, storage)
    composite = storage.objects[request.params["bucket_name"]][request.params["object_id"]]
    composite["md5Hash"] = None
    response.json(composite)


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    _serve(int(sys.argv[1]))
