"""From a server's answer to a release: what is taken over, and what is refused before it can do harm."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dewy.errors import RegistryError
from dewy.types import Release
from dewy_registry_grpc._registry_pb2 import CurrentResponse
from dewy_registry_grpc.answer import is_file_name, release_of

URL = "https://releases.example.com/v1.4.0/myapp_linux_amd64.tar.gz"


def release(url: str = URL, tag: str = "v1.4.0", metadata: tuple[tuple[str, str | bytes], ...] = ()) -> Release:
    return release_of(CurrentResponse(id="42", tag=tag, artifact_url=url), metadata, "grpc://releases:443")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (URL, "myapp_linux_amd64.tar.gz"),
        (URL + "?X-Amz-Signature=abcdef&x=a/b", "myapp_linux_amd64.tar.gz"),
        (URL + "#part", "myapp_linux_amd64.tar.gz"),
        ("ghr://owner/repo/tag/v1.4.0/my%20app.zip", "my app.zip"),
        ("s3://us-east-1/releases/myapp/v1.4.0/app?endpoint=http://127.0.0.1:8333", "app"),
        ("gs://bucket/v1.4.0/app%2Bgpu.tar.zst", "app+gpu.tar.zst"),
        ("file:///srv/releases/v1.4.0/p%C5%99%C3%ADklad", "příklad"),
        ("pigeon://loft/app", "app"),
    ],
)
def test_url_is_passed_on_as_it_is_and_its_last_part_is_the_name(url: str, name: str) -> None:
    """Also of a scheme that nobody here knows: dewy looks for its plugin."""
    assert (release(url).url, release(url).artifact) == (url, name)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.tar.gz",
        "https://releases.example.com",
        "https://releases.example.com/",
        "https://releases.example.com/v1/",
        "https://releases.example.com/v1/..",
        "https://releases.example.com/v1/.",
        "https://releases.example.com/v1/.hidden",
        "https://releases.example.com/v1/-rf",
        "https://releases.example.com/v1/%2e%2e",
        "https://releases.example.com/v1/..%2f..%2fetc%2fpasswd",
        "https://releases.example.com/v1/a%5Cb",
        "https://releases.example.com/v1/app%00",
        "https://releases.example.com/v1/app%0Aname",
        "https://releases.example.com/v1/%1B%5B31m",
        "https://releases.example.com/v1/app\n",
        "https://releases.example.com/v1/" + "a" * 256,
        "https://releases.example.com/" + "a/" * 8000 + "app",
        "https://[releases/v1/app",
    ],
)
def test_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(RegistryError, match="artifact_url") as raised:
        release(url)
    assert raised.value.hint.startswith("Have it answer with a URL of one file")
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 250


def test_secrets_of_a_refused_url_are_not_shown() -> None:
    with pytest.raises(RegistryError) as raised:
        release("https://user:hunter2secret@releases.example.com/v1/?signature=0123456789abcdef")
    assert "hunter2secret" not in str(raised.value)
    assert "0123456789abcdef" not in str(raised.value)


@pytest.mark.parametrize("tag", ["", "v1\n", "\x1b[31mv1", "v" * 256])
def test_tag_that_is_none_is_refused(tag: str) -> None:
    with pytest.raises(RegistryError, match="a tag that is no version"):
        release(tag=tag)


@given(name=st.text(max_size=300))
@example(name="a/../b")
def test_names_are_safe_or_refused(name: str) -> None:
    """Whatever a server answers with, what becomes a file's name stays in its directory."""
    if not is_file_name(name):
        with pytest.raises(RegistryError):
            release("https://host/v1/" + quote(name, safe="", errors="replace"))
        return
    assert release("https://host/v1/" + quote(name, safe="")).artifact == name
    assert not set(name) & set("/\\\0\n")
    assert name not in ("", ".", "..")


def test_name_that_no_file_system_takes_is_none() -> None:
    assert not is_file_name("\udcff")


@given(url=st.text(max_size=100), tag=st.text(max_size=20))
def test_any_answer_is_a_release_or_a_sentence(url: str, tag: str) -> None:
    try:
        name = release(f"https://{url}", tag).artifact
    except RegistryError as error:
        name = error.message
    assert name.isprintable()


def test_time_of_publication_is_taken_over() -> None:
    answer = CurrentResponse(id="42", tag="v1", artifact_url=URL)
    assert release_of(answer, (), "x").published is None
    answer.created_at.FromJsonString("2024-03-15T14:30:22.123456789Z")
    assert release_of(answer, (), "x").published == datetime(2024, 3, 15, 14, 30, 22, 123456, UTC)


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 10**12])
def test_time_that_no_calendar_has_counts_as_not_stated(seconds: int) -> None:
    answer = CurrentResponse(id="42", tag="v1", artifact_url=URL)
    answer.created_at.seconds = seconds
    assert release_of(answer, (), "x").published is None


def test_digests_and_size_come_from_the_metadata() -> None:
    sha256, sha512 = f"sha256:{'ab' * 32}", f"sha512:{'cd' * 64}"
    stated = release(
        metadata=(
            ("dewy-artifact-digest", sha256.upper().replace("SHA", "sha")),
            ("content-type", "application/grpc"),
            ("trace-bin", b"\xff"),
            ("dewy-artifact-digest", sha512),
            ("dewy-artifact-digest", sha256),
            ("dewy-artifact-size", "1024"),
            ("dewy-artifact-size", "1024"),
        )
    )
    assert (stated.digests, stated.size) == ((sha256, sha512), 1024)
    assert (release().digests, release().size) == ((), None)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dewy-artifact-digest", ["abcdef0123456789"]),
        ("dewy-artifact-digest", ["sha256:"]),
        ("dewy-artifact-digest", ["sha256:xyzxyzxyz"]),
        ("dewy-artifact-digest", [f"sha256:{'ab' * 32}\n"]),
        ("dewy-artifact-size", ["-1"]),
        ("dewy-artifact-size", ["1 KB"]),
        ("dewy-artifact-size", ["9" * 4301]),
        ("dewy-artifact-size", ["1", "2"]),
    ],
)
def test_a_statement_that_cannot_be_read_is_refused(name: str, values: list[str]) -> None:
    """The bytes would go unchecked although somebody took care to state them."""
    with pytest.raises(RegistryError, match=name):
        release(metadata=tuple((name, value) for value in values))
