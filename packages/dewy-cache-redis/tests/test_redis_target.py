"""What URLs name, and what is said of those that name nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.testing import TestContext
from dewy.urls import parse_url
from dewy_cache_redis.plugin import CACHE
from dewy_cache_redis.target import Account, Target, Tls, prefix_of
from redis_stores import target_of

SECRET = {"REDIS_PASSWORD": "from-the-environment"}


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://h", Target(hosts=(("h", 6379),))),
        ("redis://h:7/5", Target(hosts=(("h", 7),), db=5)),
        ("redis://[::1]:7/?db=5", Target(hosts=(("::1", 7),), db=5)),
        ("redis://:p%40ss@h", Target(hosts=(("h", 6379),), account=Account("", "p@ss"))),
        ("redis://u:p@h/0", Target(hosts=(("h", 6379),), account=Account("u", "p"))),
        ("rediss://h?ca=/c", Target(hosts=(("h", 6379),), tls=Tls("/c"))),
        ("rediss://h?cert=/c&key=/k", Target(hosts=(("h", 6379),), tls=Tls("", "/c", "/k"))),
        ("redis+unix:///run/r.sock?db=2", Target(socket="/run/r.sock", db=2)),
        ("redis+unix://u:p@/run/r.sock", Target(socket="/run/r.sock", account=Account("u", "p"))),
        ("redis+sentinel://a,b:7/m", Target(hosts=(("a", 26379), ("b", 7)), service="m")),
        (
            "rediss+sentinel://u:p@a,[::1]:7/m/3?sentinel-password=s&sentinel-username=t",
            Target(
                hosts=(("a", 26379), ("::1", 7)),
                service="m",
                db=3,
                account=Account("u", "p"),
                sentinel_account=Account("t", "s"),
                tls=Tls(),
            ),
        ),
    ],
)
def test_forms(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis:///0", "lacks a host"),
        ("redis://h:0", "the port 0"),
        ("redis://h/db1", "'db1'"),
        ("redis://h/-1", "'-1'"),
        ("redis://h/1?db=2", "db=2"),
        ("redis://h?db=-2", "db=-2"),
        ("redis://a,b", "several hosts"),
        ("redis://h?ca=/c", "in the clear"),
        ("redis://h?sentinel-password=x", "no Sentinels"),
        ("redis+sentinel://h/m?sentinel-username=x", "sentinel-password"),
        ("rediss://h?cert=/c", "only one of cert and key"),
        ("redis+unix://run/redis.sock", "names no socket"),
        ("redis+unix:///", "names no socket"),
        ("redis+sentinel://a,b", "which service"),
        ("redis+sentinel://a,/m", "lacks a host"),
        ("redis+sentinel://a/m/x", "'x'"),
        ("redis://lonely@h", "no password"),
    ],
)
def test_what_is_wrong_is_said(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        target_of(url)
    assert raised.value.hint
    assert "lonely" not in str(raised.value), "a lone user name may well be a password"


@pytest.mark.parametrize(
    ("url", "environ", "account"),
    [
        ("redis://h", SECRET, Account("", "from-the-environment")),
        ("redis://h", {**SECRET, "REDIS_USERNAME": "u"}, Account("u", "from-the-environment")),
        ("redis://me@h", {**SECRET, "REDIS_USERNAME": "u"}, Account("me", "from-the-environment")),
        ("redis://:p@h", {**SECRET, "REDIS_USERNAME": "u"}, Account("", "p")),
        ("redis://me:p@h", SECRET, Account("me", "p")),
    ],
)
def test_environment_fills_in_what_the_url_lacks(url: str, environ: dict[str, str], account: Account) -> None:
    """A URL with a password is whole by itself."""
    assert target_of(url, environ).account == account


def test_user_of_the_environment_needs_a_password() -> None:
    with pytest.raises(UsageError, match="REDIS_USERNAME"):
        target_of("redis://h", {"REDIS_USERNAME": "u"})


def test_secrets_are_told_and_not_shown(tmp_path: object) -> None:
    """Those of the environment too, which no URL has."""
    from pathlib import Path

    context = TestContext(Path(str(tmp_path)), SECRET)
    url = parse_url("redis+sentinel://h/m?sentinel-password=of-the-sentinels", CACHE.options, kind="cache")
    CACHE.open(url, context)
    assert context.secrets == ["from-the-environment", "of-the-sentinels"]
    shown = f"{url} {Target.of(url, SECRET)!r} {Target.of(url, SECRET)}"
    assert not any(secret in shown for secret in context.secrets)


@pytest.mark.parametrize("prefix", ["", "a b", "a*", "a?", "[a]", "a\\", "ä", "x" * 65, "a%0a"])
def test_prefixes_that_cannot_be(prefix: str) -> None:
    if prefix == "a%0a":
        prefix = "a%0Ab"
    with pytest.raises(UsageError, match="prefix"):
        prefix_of(parse_url(f"redis://h?prefix={prefix}", CACHE.options, kind="cache"))


def test_prefix_has_a_default() -> None:
    assert prefix_of(parse_url("redis://h", CACHE.options, kind="cache")) == "dewy:"
    assert prefix_of(parse_url("redis://h?prefix=staging/", CACHE.options, kind="cache")) == "staging/"


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_a_usage_error(text: str) -> None:
    """Never another error."""
    for scheme in CACHE.schemes:
        try:
            target = target_of(f"{scheme}://{text}")
        except UsageError:
            continue
        assert target.hosts or target.socket.startswith("/")
        assert target.db >= 0


def test_texts_for_people() -> None:
    assert str(target_of("redis://[::1]:7")) == "[::1]:7"
    assert str(target_of("redis+sentinel://a,b/m")) == "m of the Sentinels a:26379, b:26379"
    assert str(target_of("redis+unix:///r.sock")) == "/r.sock"
