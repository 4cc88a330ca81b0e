"""Downloading: every byte, once, in little memory, or an error."""

from __future__ import annotations

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
from s3_proxy import Answer, Proxy
from s3_store import Bucket, artifact_of

MEBIBYTE = 1 << 20
CONTENT = os.urandom(6 * MEBIBYTE)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def ranges(proxy: Proxy) -> list[str]:
    return [headers.get("Range", "") for method, _, headers in proxy.requests if method == "GET"]


# --------------------------------------------------------------------------------------------------------- what is stated


def test_stated_is_what_the_store_has_recorded(bucket: Bucket, context: TestContext) -> None:
    """Checksums that the uploader gave, the MD5 in the ETag, and the size."""
    url = bucket.put_key(f"{bucket.prefix}/app", CONTENT, ChecksumAlgorithm="SHA256")
    to = WriteOnly()
    stated = artifact_of(url, context).download(to.as_binary_io())
    assert to.content == CONTENT
    assert stated.size == len(CONTENT)
    assert set(stated.digests) == {f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", MD5}


def test_object_uploaded_in_parts_has_no_md5(bucket: Bucket, context: TestContext) -> None:
    """Its ETag and its checksums are of the parts, and would refuse a good artifact."""
    key = f"{bucket.prefix}/app"
    where = {"Bucket": bucket.name, "Key": key}
    upload = bucket.client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, piece in enumerate((CONTENT[: 5 * MEBIBYTE], CONTENT[5 * MEBIBYTE :]), 1):
        part = bucket.client.upload_part(**where, UploadId=upload, PartNumber=number, Body=piece, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    bucket.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    to = WriteOnly()
    stated = artifact_of(bucket.url_of(key), context).download(to.as_binary_io())
    assert to.content == CONTENT
    assert (stated.size, stated.digests) == (len(CONTENT), ())


def test_altered_bytes_do_not_pass(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Something on the way changes a bit: the store's checksum tells."""
    url = bucket.put_key(f"{bucket.prefix}/app", CONTENT, ChecksumAlgorithm="SHA256")
    proxy.alter("app", lambda piece: bytes([piece[0] ^ 1]) + piece[1:])
    with pytest.raises(ArtifactError, match="not those the store took its checksum of"):
        artifact_of(url, context).download(WriteOnly().as_binary_io())


def test_altered_bytes_without_a_checksum_differ_from_what_is_stated(
    bucket: Bucket, context: TestContext, proxy: Proxy
) -> None:
    """The store has the MD5 alone: dewy holds it against what arrived, and refuses."""
    url = bucket.put("app", CONTENT)
    proxy.alter("app", lambda piece: bytes([piece[0] ^ 1]) + piece[1:])
    to = WriteOnly()
    try:
        stated = artifact_of(url, context).download(to.as_binary_io())
    except ArtifactError as error:
        assert "checksum" in error.message  # noqa: PT017 - both outcomes are right
    else:
        assert MD5 in stated.digests
        assert to.content != CONTENT


# ------------------------------------------------------------------------------------------------------ broken transfers


def test_cut_transfer_is_taken_up_where_it_stopped(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Not one byte is asked for twice, and only of the same object."""
    url, pauses = bucket.put("app", CONTENT), list[float]()
    proxy.cut("app", after=0.5, times=3)
    to = WriteOnly()
    stated = artifact_of(url, context, pauses).download(to.as_binary_io())
    assert to.content == CONTENT
    assert MD5 in stated.digests
    first, *others = ranges(proxy)
    assert not first
    starts = [int(part.removeprefix("bytes=").removesuffix("-")) for part in others]
    half = len(CONTENT) // 2
    assert starts == [half, half + half // 2, half + half // 2 + half // 4]
    assert {headers["If-Match"] for _, _, headers in proxy.requests if "Range" in headers} == {f'"{MD5[4:]}"'}
    assert len(pauses) == 3
    assert all(0 < pause <= 0.25 for pause in pauses[:2]), "a try that brought a lot is no reason to wait longer"


def test_stalled_transfer_is_taken_up(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """A store that is silent in the middle is not waited for longer than the time-out."""
    url = bucket.put("app", CONTENT)
    proxy.stall("app", times=1, after=0.4)
    to = WriteOnly()
    started = time.monotonic()
    artifact_of(url, context, read_seconds=0.5).download(to.as_binary_io())
    assert to.content == CONTENT
    assert time.monotonic() - started < 10


def test_store_that_is_down_for_a_moment(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Its errors while a download is under way are waited out, ever more patiently."""
    url, pauses = bucket.put("app", CONTENT), list[float]()
    proxy.cut("app", after=0.5, times=1)
    down = Answer(503, b"<Error><Code>ServiceUnavailable</Code><Message>later</Message></Error>")
    proxy.answer("app", down, times=4)
    to = WriteOnly()
    artifact_of(url, context, pauses).download(to.as_binary_io())
    assert to.content == CONTENT
    assert len(pauses) == 3, "two requests, each made twice by the SDK"
    assert pauses[2] > pauses[0]


def test_object_replaced_during_the_download_is_an_error(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """Half of the old and half of the new would be neither."""
    url = bucket.put("app", CONTENT)
    proxy.cut("app", after=0.5, times=1)
    proxy.before("app", lambda: bucket.put("app", CONTENT[::-1]))
    with pytest.raises(ArtifactError, match="replaced meanwhile"):
        artifact_of(url, context).download(WriteOnly().as_binary_io())


def test_object_removed_during_the_download_is_an_error(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """At once: trying again would not bring it back."""
    url, pauses = bucket.put("app", CONTENT), list[float]()
    proxy.cut("app", after=0.5, times=1)
    proxy.before("app", lambda: bucket.remove("v1.0.0"))
    with pytest.raises(ArtifactError, match="no such object"):
        artifact_of(url, context, pauses).download(WriteOnly().as_binary_io())
    assert len(pauses) == 1


def test_store_that_sends_the_whole_object_again(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """One without ranges: its first byte must not follow the half that is here."""
    url = bucket.put("app", CONTENT)
    proxy.cut("app", after=0.5, times=1)
    proxy.answer("app", Answer(200, CONTENT, "application/gzip", (("ETag", '"x"'),)))
    to = WriteOnly()
    with pytest.raises(ArtifactError, match="does not send the rest alone"):
        artifact_of(url, context).download(to.as_binary_io())
    assert to.size <= len(CONTENT) // 2


def test_web_page_is_not_taken_for_the_artifact(bucket: Bucket, context: TestContext, proxy: Proxy) -> None:
    """A proxy's login page, with status 200."""
    proxy.answer("app", Answer(200, b"<html>Sign in</html>", "text/html"))
    to = WriteOnly()
    with pytest.raises(ArtifactError, match="not one of an S3 store"):
        artifact_of(bucket.url_of("app"), context).download(to.as_binary_io())
    assert to.size == 0


# --------------------------------------------------------------------------------------------------------------- memory

DOWNLOAD = """
import json, os, sys, time
from pathlib import Path
from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_registry_s3.plugin import ARTIFACT

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
    with (tmp_path / "large").open("wb") as file:
        for _ in range(size // len(CONTENT) + 1):
            file.write(CONTENT)
        file.truncate(size)
    with (tmp_path / "large").open("rb") as file:
        bucket.client.upload_fileobj(file, bucket.name, f"{bucket.prefix}/large")
    small, to = bucket.put("small", b"x"), tmp_path / "downloaded"
    command = [sys.executable, "-c", DOWNLOAD, small, bucket.url_of(f"{bucket.prefix}/large"), str(to)]
    environ = {**os.environ, **bucket.server.environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["size"] == size
    assert to.stat().st_size == size + 1
    assert seen["grown"] < 64 * MEBIBYTE, seen
