"""The pure parts of the HTTP client: for every input."""

from __future__ import annotations

import os
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import md5, sha256, sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.http.errors import HttpError
from dewy.http.headers import Headers, content_range, date_of, links, strong_validator, whole_number
from dewy.http.hops import first_hop, redirected
from dewy.http.memory import Memory
from dewy.http.politeness import Retries, asked_pause
from dewy.http.proxies import proxy_for
from dewy.http.response import Response
from dewy.http.stated import digests

NOW = datetime(2024, 3, 15, 14, 30, 22, tzinfo=UTC)
TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60)
BYTES = b"the bytes"


def encoded(raw: bytes) -> str:
    return b64encode(raw).decode()


# ------------------------------------------------------------------------------------------------------------------ fields


@given(
    st.dictionaries(st.sampled_from(["link", "date", "retry-after", "x-ratelimit-reset", "x-ratelimit-remaining"]), TEXT),
    TEXT,
)
def test_no_field_however_broken_is_more_than_ignored(fields: dict[str, str], text: str) -> None:
    headers = Headers(fields.items())
    pause = asked_pause(429, headers, NOW)
    assert pause is None or 0 < pause <= 3600
    assert all(
        "://" in target for target in links(headers, "https://host/path").values() if ":" not in headers.get("link", "")
    )
    broken = Headers([(name, text) for name in ("content-range", "etag", "last-modified", "date", "digest", "repr-digest")])
    content_range(broken), strong_validator(broken), date_of(text), whole_number(text), digests(broken, whole=True)


def test_fields_of_one_name_are_joined_and_a_repr_shows_no_value() -> None:
    headers = Headers([("A", "1"), ("a", "2"), ("B", "secret")])
    assert (headers["A"], len(headers), list(headers)) == ("1, 2", 2, ["a", "b"])
    assert "secret" not in repr(headers)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ('<https://h/2>; rel="next", <https://h/9>; rel="last"', {"next": "https://h/2", "last": "https://h/9"}),
        ("</2>; rel=next", {"next": "https://h/2"}),
        (
            '<?page=2>; title="a, <b>; rel=evil"; rel="prev next"',
            {"prev": "https://h/x?page=2", "next": "https://h/x?page=2"},
        ),
        ('<https://h/a,b>; REL="Next"', {"next": "https://h/a,b"}),
        ('<1>; rel="next", <2>; rel="next"', {"next": "https://h/1"}),
        ("nonsense; rel=next", {}),
        ("<https://h/2>", {}),
    ],
)
def test_links_by_relation(field: str, found: dict[str, str]) -> None:
    assert links(Headers([("Link", field)]), "https://h/x?page=1") == found


@pytest.mark.parametrize(
    ("fields", "validator"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": 'W/"a"'}, None),
        ({"Last-Modified": "Fri, 15 Mar 2024 14:30:22 GMT"}, None),
        ({"Last-Modified": "Fri, 15 Mar 2024 14:30:22 GMT", "Date": "Fri, 15 Mar 2024 14:30:22 GMT"}, None),
        (
            {"ETag": 'W/"a"', "Last-Modified": "Fri, 15 Mar 2024 14:30:22 GMT", "Date": "Fri, 15 Mar 2024 14:30:23 GMT"},
            "Fri, 15 Mar 2024 14:30:22 GMT",
        ),
        ({}, None),
    ],
)
def test_only_what_is_sure_to_change_with_the_bytes_may_resume_a_download(
    fields: dict[str, str], validator: str | None
) -> None:
    assert strong_validator(Headers(fields.items())) == validator


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("bytes 5-9/10", (5, 10)),
        ("bytes 5-9/*", (5, None)),
        ("bytes */10", (None, 10)),
        ("bytes 5-9", (None, None)),
        ("items 5-9/10", (None, None)),
        ("bytes 5-9/10, bytes 1-2/10", (None, None)),
        ("", (None, None)),
    ],
)
def test_content_range(field: str, found: tuple[int | None, int | None]) -> None:
    assert content_range(Headers([("Content-Range", field)])) == found


# ----------------------------------------------------------------------------------------------------------------- digests


@pytest.mark.parametrize(
    ("name", "value", "digest"),
    [
        ("Repr-Digest", f"sha-256=:{encoded(sha256(BYTES).digest())}:", f"sha256:{sha256(BYTES).hexdigest()}"),
        ("Repr-Digest", f"x=1, sha-512=:{encoded(sha512(BYTES).digest())}:", f"sha512:{sha512(BYTES).hexdigest()}"),
        ("Content-Digest", f"sha-256=:{encoded(sha256(BYTES).digest())}:", f"sha256:{sha256(BYTES).hexdigest()}"),
        ("Digest", f"SHA-256={encoded(sha256(BYTES).digest())},unixsum=3", f"sha256:{sha256(BYTES).hexdigest()}"),
        ("Content-MD5", encoded(md5(BYTES).digest()), f"md5:{md5(BYTES).hexdigest()}"),
        ("X-Checksum-Sha256", sha256(BYTES).hexdigest().upper(), f"sha256:{sha256(BYTES).hexdigest()}"),
        ("X-Checksum-Md5", md5(BYTES).hexdigest(), f"md5:{md5(BYTES).hexdigest()}"),
        ("ETag", f'"{md5(BYTES).hexdigest()}"', None),
        ("Digest", "SHA-256=tooshort", None),
        ("Repr-Digest", "sha-256=:!!!:", None),
        ("X-Checksum-Sha256", md5(BYTES).hexdigest(), None),
        ("X-Checksum-Sha1", "not hex", None),
    ],
)
def test_what_an_answer_states_of_its_bytes(name: str, value: str, digest: str | None) -> None:
    assert digests(Headers([(name, value)]), whole=True) == ((digest,) if digest else ())


def test_the_digest_of_a_part_is_not_taken_for_that_of_the_whole() -> None:
    value = encoded(sha256(BYTES).digest())
    part = Headers([("Content-Digest", f"sha-256=:{value}:"), ("Content-MD5", encoded(md5(BYTES).digest()))])
    assert digests(part, whole=False) == ()
    assert digests(Headers([("Repr-Digest", f"sha-256=:{value}:")]), whole=False) == (f"sha256:{sha256(BYTES).hexdigest()}",)


# -------------------------------------------------------------------------------------------------------------------- hops

WORD = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=4, max_size=12)


@given(st.sampled_from(["http", "https"]), WORD, WORD, WORD, st.sampled_from(["", ":80", ":8443"]), st.booleans())
def test_no_secret_of_a_url_is_in_what_is_shown(
    scheme: str, user: str, secret: str, key: str, port: str, bare: bool
) -> None:
    canary = f"canary{secret}"
    userinfo = canary if bare else f"u{user}:{canary}"
    hop = first_hop("GET", f"{scheme}://{userinfo}@Host{port}/p?{key}={canary}#{canary}", {}, {"X": canary})
    assert "canary" not in f"{hop} {hop!r} {hop.shown} {hop.host} {hop.identity}"
    assert hop.shown == f"{hop.url.partition('?')[0]}?***"
    assert hop.url.count("canary") == 1
    assert hop.credentials["Authorization"].startswith("Basic ")


ORIGINS = st.tuples(
    st.sampled_from(["http", "https"]), st.sampled_from(["a.example", "b.example"]), st.sampled_from([80, 443, 81])
)


@given(ORIGINS, st.lists(st.tuples(ORIGINS, st.sampled_from([301, 302, 303, 307, 308])), max_size=6))
def test_over_any_chain_of_redirects_credentials_are_only_at_the_first_origin_before_it_was_left(
    first: tuple[str, str, int], chain: list[tuple[tuple[str, str, int], int]]
) -> None:
    hop = first_hop("GET", "{}://{}:{}/".format(*first), {"Accept": "x"}, {"Authorization": "secret"})
    left = False
    for origin, status in chain:
        before = hop.origin
        try:
            hop = redirected(hop, status, "{}://{}:{}/".format(*origin))
        except HttpError:
            assert (before[0], origin[0]) == ("https", "http")
            return
        assert hop.origin == origin
        left = left or origin != first
        assert bool(hop.credentials) == (not left)
        assert dict(hop.headers) == {"Accept": "x"}


def test_origins_are_the_same_whatever_the_case_or_the_default_port() -> None:
    same = {first_hop("GET", url, {}, {}).origin for url in ("https://Host/", "https://host:443", "HTTPS://HOST/x?y")}
    assert same == {("https", "host", 443)}


def test_an_authorization_that_is_given_wins_over_the_urls_user() -> None:
    hop = first_hop("GET", "https://user:pw@host/", {}, {"authorization": "Bearer x"})
    assert dict(hop.credentials) == {"authorization": "Bearer x"}


# --------------------------------------------------------------------------------------------------------------- politeness


@given(st.integers(1, 50), st.floats(0, 1), st.none() | st.floats(0, 4000), st.booleans(), st.integers(1, 60))
def test_a_pause_is_bounded_and_never_shorter_than_what_was_asked(
    attempt: int, jitter: float, asked: float | None, transient: bool, tries: int
) -> None:
    retries = Retries(tries=tries)
    pause = retries.pause(attempt, HttpError("x", transient=transient, retry_after=asked), jitter)
    if not transient or attempt >= tries or (asked is not None and asked > retries.patience):
        assert pause is None
    else:
        assert pause is not None
        assert (asked or 0) <= pause <= (asked or 0) + retries.longest


# ------------------------------------------------------------------------------------------------------------------- memory


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000)), max_size=60))
def test_memory_never_holds_more_than_its_bounds_and_gives_back_what_was_kept_last(kept: list[tuple[int, int]]) -> None:
    memory = Memory(most=5, most_bytes=4000, largest=2500)
    last: dict[int, bytes] = {}
    for number, size in kept:
        content = os.urandom(size)
        hop = first_hop("GET", f"http://host/{number}", {}, {})
        memory.keep(hop, Response(hop.url, hop.shown, 200, Headers([("ETag", '"1"')]), content))
        last[number] = content
        held = {key: memory.recall(first_hop("GET", f"http://host/{key}", {}, {})) for key in range(10)}
        contents = {key: answer.renewed(hop, Headers()).content for key, answer in held.items() if answer}
        assert len(contents) <= 5
        assert sum(map(len, contents.values())) <= 4000
        assert all(last[key] == content and len(content) <= 2500 for key, content in contents.items())
        assert (number in contents) == (size <= 2500)


# ------------------------------------------------------------------------------------------------------------------ proxies


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (("https", "h.example", 443), {"https_proxy": "http://p:1"}, "http://p:1"),
        (("https", "h.example", 443), {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        (("https", "h.example", 443), {"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "http://a"),
        (("http", "h.example", 80), {"https_proxy": "http://p:1"}, None),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "x, example"}, None),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": ".example"}, None),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "*.example"}, None),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "ample,"}, "http://p:1"),
        (("http", "h.example", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "h.example:8080"}, "http://p:1"),
        (("http", "h.example", 8080), {"ALL_PROXY": "http://p:1", "NO_PROXY": "h.example:8080"}, None),
        (("http", "10.1.2.3", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        (("http", "10.1.2.3", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "192.168.0.0/16"}, "http://p:1"),
        (("http", "fd00::1", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "[fd00::1]"}, None),
        (("http", "fd00::1", 80), {"ALL_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, None),
        (("http", "127.0.0.1", 80), {"ALL_PROXY": "http://p:1"}, None),
        (("http", "localhost", 80), {"ALL_PROXY": "http://p:1"}, None),
        (("http", "::1", 80), {"ALL_PROXY": "http://p:1"}, None),
        (("http", "h.example", 80), {"http_proxy": ""}, None),
    ],
)
def test_which_proxy_the_environment_names(url: tuple[str, str, int], environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(*url, environ) == proxy
