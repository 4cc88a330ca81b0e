"""Checksum files beside an artifact."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.checksums import checksum_files, parse_checksums
from dewy.types import ListedFile

ARTIFACT = "myapp_1.4.0_linux_amd64.tar.gz"
SHA256, SHA512 = hashlib.sha256(b"x").hexdigest(), hashlib.sha512(b"x").hexdigest()
OTHER = hashlib.sha256(b"y").hexdigest()


def listed(*names: str) -> list[ListedFile]:
    return [ListedFile(name, f"file:///{name}") for name in names]


@pytest.mark.parametrize(
    "name",
    [
        f"{ARTIFACT}.sha256", f"{ARTIFACT}.sha512", f"{ARTIFACT}.sha256sum", f"{ARTIFACT}.SHA256", f"{ARTIFACT}.sha256.txt",
        "checksums.txt", "SHA256SUMS", "SHA512SUMS", "sha256sum.txt", "SHA256SUMS.txt", "myapp_1.4.0_checksums.txt",
        "myapp-1.4.0-SHA256SUMS", "checksums.sha256", "checksum.txt", "checksums.sha512",
    ],
)  # fmt: skip
def test_it_is_known_by_its_name(name: str) -> None:
    assert [file.name for file in checksum_files(ARTIFACT, listed(ARTIFACT, name, "README.md"))] == [name]


@pytest.mark.parametrize(
    "name",
    ["other.zip.sha256", f"{ARTIFACT}.sig", f"{ARTIFACT}.asc", "SHA256SUMS.sig", "checksums.txt.pem", "sha256", "notes.txt"],
)
def test_what_is_about_others_or_something_else_is_passed_over(name: str) -> None:
    assert checksum_files(ARTIFACT, listed(ARTIFACT, "other.zip", name)) == ()


@pytest.mark.parametrize(
    "line",
    [
        f"{SHA256}  {ARTIFACT}", f"{SHA256} *{ARTIFACT}", f"{SHA256.upper()}\t{ARTIFACT}", f"{SHA256}  ./dist/{ARTIFACT}",
        f"SHA256 ({ARTIFACT}) = {SHA256}", f"SHA2-256({ARTIFACT})= {SHA256}", f"{SHA256}  dist\\{ARTIFACT}",
    ],
)  # fmt: skip
def test_lines_are_read_in_their_forms(line: str) -> None:
    content = f"# sums\n{OTHER}  other.tar.gz\r\n{line}\r\n\n{OTHER}  {ARTIFACT}.sbom\n".encode()
    assert parse_checksums(content, "checksums.txt", ARTIFACT) == (f"sha256:{SHA256}",)


def test_a_file_about_the_artifact_alone_needs_no_name_in_it() -> None:
    assert parse_checksums(f"{SHA512}\n".encode(), f"{ARTIFACT}.sha512", ARTIFACT) == (f"sha512:{SHA512}",)
    assert parse_checksums(f"{SHA256}\n".encode(), "checksums.txt", ARTIFACT) == ()


def test_two_digests_are_both_stated() -> None:
    content = f"{SHA256}  {ARTIFACT}\n{OTHER}  {ARTIFACT}\n".encode()
    assert parse_checksums(content, "SHA256SUMS", ARTIFACT) == (f"sha256:{SHA256}", f"sha256:{OTHER}")


@given(st.binary(max_size=500), st.text(min_size=1, max_size=30))
def test_nothing_that_is_published_raises(content: bytes, name: str) -> None:
    assert all(digest.partition(":")[0] in ("sha256", "sha512") for digest in parse_checksums(content, name, ARTIFACT))
    checksum_files(name, listed(name, ARTIFACT))
