"""Downloading: every byte, once, in little memory, or an error."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dewy.errors import ArtifactError
from dewy.testing import TestContext
from dewy.testing.streams import WriteOnly
from gs_store import Bucket, artifact_of
from s3_proxy import Answer, Proxy

MEBIBYTE = 1 << 20
CONTENT = os.urandom(4 * MEBIBYTE)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def transfers(proxy: Proxy) -> list[tuple[str, str]]:
    """Path and range of every request for bytes."""
    return [(path, headers.get("range", "")) for _, path, headers in _requests(proxy) if path.startswith("/download/")]


def _requests(proxy: Proxy) -> list[tuple[str, str, dict[str, str]]]:
    return [(method, path, {k.lower(): v for k, v in headers.items()}) for method, path, headers in proxy.requests]


# --------------------------------------------------------------------------------------------------------- what is stated


def test_stated_is_what_the_store_has_recorded(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """The size and the MD5; two requests, and no access list or labels."""
    url = bucket.put("app", CONTENT)
    to = WriteOnly()
    stated = artifact_of(url, context).download(to.as_binary_io())
    assert to.content == CONTENT
    assert (stated.size, stated.digests) == (len(CONTENT), (MD5,))
    assert proxy.count("GET") == 2


def test_composite_object_is_checked_by_its_crc32c(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """It has no MD5 to state, but other bytes do not pass all the same."""
    half = len(CONTENT) // 2
    bucket.publish("v1.0.0", {"app.1": CONTENT[:half], "app.2": CONTENT[half:]})
    folder = f"{bucket.prefix}/v1.0.0"
    bucket.blob(f"{folder}/app").compose([bucket.blob(f"{folder}/app.{number}") for number in (1, 2)])
    to = WriteOnly()
    stated = artifact_of(bucket.url_of(f"{folder}/app"), context).download(to.as_binary_io())
    assert to.content == CONTENT
    assert (stated.size, stated.digests) == (len(CONTENT), ())
    proxy.alter(bucket.transfer("app?"), lambda piece: bytes([piece[0] ^ 1]) + piece[1:])
    with pytest.raises(ArtifactError, match="not those the store took its checksum of"):
        artifact_of(bucket.url_of(f"{folder}/app"), context).download(WriteOnly().as_binary_io())


@pytest.mark.parametrize("cuts", [0, 2], ids=["in one go", "taken up twice"])
def test_altered_bytes_do_not_pass(bucket: Bucket, context: TestContext, proxy: Proxy, cuts: int) -> None:
    """Something on the way changes a bit of the last piece that comes."""
    url = bucket.put("app", CONTENT)
    if cuts:
        proxy.cut(bucket.transfer("app"), after=0.5, times=cuts)
    proxy.alter(bucket.transfer("app"), lambda piece: bytes([piece[0] ^ 1]) + piece[1:])
    with pytest.raises(ArtifactError, match="not those the store took its checksum of") as raised:
        artifact_of(url, context).download(WriteOnly().as_binary_io())
    assert "tries again" in raised.value.hint


def test_compressed_object_arrives_as_it_is_stored(bucket: Bucket, context: TestContext) -> None:
    """One with a content encoding is not unpacked on the way: what is stated of it is stated of what is stored."""
    packed = gzip.compress(CONTENT[:MEBIBYTE])
    blob = bucket.blob(f"{bucket.prefix}/v1.0.0/app.tar")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed)
    to = WriteOnly()
    stated = artifact_of(bucket.url_of(f"{bucket.prefix}/v1.0.0/app.tar"), context).download(to.as_binary_io())
    assert to.content == packed
    assert stated.size == len(packed)


# ------------------------------------------------------------------------------------------------------ broken transfers


def test_cut_transfer_is_taken_up_where_it_stopped(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Not one byte is asked for twice, and only of the same object."""
    url, pauses = bucket.put("app", CONTENT), list[float]()
    stored = bucket.blob(f"{bucket.prefix}/v1.0.0/app")
    stored.reload()
    proxy.cut(bucket.transfer("app"), after=0.5, times=3)
    to = WriteOnly()
    stated = artifact_of(url, context, pauses).download(to.as_binary_io())
    assert to.content == CONTENT
    assert MD5 in stated.digests
    (_, first), *others = transfers(proxy)
    assert not first
    starts = [int(part.removeprefix("bytes=").removesuffix("-")) for _, part in others]
    half = len(CONTENT) // 2
    assert starts == [half, half + half // 2, half + half // 2 + half // 4]
    assert all(f"ifGenerationMatch={stored.generation}" in path for path, _ in transfers(proxy))
    assert len(pauses) == 3
    assert all(0 < pause <= 0.25 for pause in pauses[:2]), "a try that brought a lot is no reason to wait longer"


def test_stalled_transfer_is_taken_up(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """A store that is silent in the middle is not waited for longer than the time-out."""
    url = bucket.put("app", CONTENT)
    proxy.stall(bucket.transfer("app"), times=1, after=0.4)
    to = WriteOnly()
    started = time.monotonic()
    artifact_of(url, context, read_seconds=0.5).download(to.as_binary_io())
    assert to.content == CONTENT
    assert time.monotonic() - started < 10


def test_store_that_is_down_for_a_moment(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Its errors while a download is under way are waited out, ever more patiently."""
    url, pauses = bucket.put("app", CONTENT), list[float]()
    proxy.cut(bucket.transfer("app"), after=0.5, times=1)
    proxy.answer(bucket.transfer("app"), Answer(503, b"Service Unavailable", "text/plain"), times=3)
    to = WriteOnly()
    artifact_of(url, context, pauses).download(to.as_binary_io())
    assert to.content == CONTENT
    assert len(pauses) == 4
    assert pauses[3] > pauses[0]


def test_shorter_answer_that_looks_whole_is_taken_up(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Something on the way ends the answer early and says that this was all."""
    url = bucket.put("app", CONTENT)
    proxy.answer(bucket.transfer("app"), Answer(200, CONTENT[:1000], "application/octet-stream"), times=1)
    to = WriteOnly()
    artifact_of(url, context).download(to.as_binary_io())
    assert to.content == CONTENT


def test_object_replaced_during_the_download_is_an_error(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Half of the old and half of the new would be neither."""
    url = bucket.put("app", CONTENT)
    proxy.cut(bucket.transfer("app"), after=0.5, times=1)
    proxy.before(bucket.transfer("app"), lambda: bucket.put("app", CONTENT[::-1]))
    with pytest.raises(ArtifactError, match="replaced meanwhile"):
        artifact_of(url, context).download(WriteOnly().as_binary_io())


def test_object_removed_during_the_download_is_an_error(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """At once: trying again would not bring it back."""
    url, pauses = bucket.put("app", CONTENT), list[float]()
    proxy.cut(bucket.transfer("app"), after=0.5, times=1)
    proxy.before(bucket.transfer("app"), lambda: bucket.remove("v1.0.0"))
    with pytest.raises(ArtifactError, match="no such object"):
        artifact_of(url, context, pauses).download(WriteOnly().as_binary_io())
    assert len(pauses) == 1


def test_store_that_sends_the_whole_object_again(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """One without ranges: the whole after the half that is here is never taken for the object."""
    url = bucket.put("app", CONTENT)
    proxy.cut(bucket.transfer("app"), after=0.5, times=1)
    proxy.answer(bucket.transfer("app"), Answer(200, CONTENT, "application/gzip"))
    to = WriteOnly()
    with pytest.raises(ArtifactError, match=f"more bytes came than the object's {len(CONTENT)}"):
        artifact_of(url, context).download(to.as_binary_io())
    assert to.size <= len(CONTENT)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>Sign in</html>", "text/html"),
        Answer(200, b'{"size": "3"}', "application/json"),
        Answer(200, b'{"size": "x", "generation": "1"}', "application/json"),
        Answer(200, b"[]", "application/json"),
    ],
    ids=["html", "no generation", "no size", "a list"],
)
def test_another_answer_is_not_taken_for_the_object_s_facts(
    bucket: Bucket, context: TestContext, proxy: Proxy, answer: Answer
) -> None:
    """A proxy's login page, with status 200."""
    proxy.answer("/app", answer)
    to = WriteOnly()
    with pytest.raises(ArtifactError, match="not one of Google Cloud Storage"):
        artifact_of(bucket.url_of("app/app"), context).download(to.as_binary_io())
    assert to.size == 0


def test_web_page_is_not_taken_for_the_artifact(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Not even one of the right length."""
    page = b"<html>Sign in</html>"
    url = bucket.put("app", b"x" * len(page))
    proxy.answer(bucket.transfer("app"), Answer(200, page, "text/html"))
    with pytest.raises(ArtifactError, match="not those the store took its checksum of"):
        artifact_of(url, context).download(WriteOnly().as_binary_io())


def test_answer_cannot_send_the_download_elsewhere(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """The address in the object's facts is not followed: the token would go there."""
    facts = {"kind": "storage#object", "size": "3", "generation": "1", "mediaLink": "http://127.0.0.1:1/stolen"}
    proxy.answer("/app?", Answer(200, json.dumps(facts).encode(), "application/json"), times=1)
    proxy.answer("/download/", Answer(200, b"abc", "application/octet-stream"))
    to = WriteOnly()
    artifact_of(bucket.url_of("app"), context).download(to.as_binary_io())
    assert to.content == b"abc"


# --------------------------------------------------------------------------------------------------------------- memory

DOWNLOAD = """
import json, os, sys, time
from pathlib import Path
from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_registry_gs.plugin import ARTIFACT

def rss():
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}

small, large, to = sys.argv[1:]
context = TestContext(Path(to).parent, os.environ)
open_ = lambda url: ARTIFACT.open(parse_url(url, ARTIFACT.options), context)
with open(to, "wb") as file:
    open_(small).download(file)  # what the SDK takes for itself, whatever the size
    before, started = rss()["VmRSS"], time.monotonic()
    stated = open_(large).download(file)
print(json.dumps({"grown": rss()["VmHWM"] - before, "seconds": time.monotonic() - started, "size": stated.size}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_artifact(bucket: Bucket, tmp_path: Path) -> None:
    """R33: the process, not just Python's heap."""
    size = 128 * MEBIBYTE
    large = bucket.put("large", bytes(size))
    small, to = bucket.put("small", b"x"), tmp_path / "downloaded"
    command = [sys.executable, "-c", DOWNLOAD, small, large, str(to)]
    environ = {**os.environ, **bucket.server.environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["size"] == size
    assert to.stat().st_size == size + 1
    assert seen["grown"] < 64 * MEBIBYTE, seen
