"""A user with the least rights: those that the README lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dewy.errors import CacheError
from dewy_cache_redis.store import RedisStore
from redis_server import RedisServer
from redis_stores import store_of

PASSWORD = "s3cret"
README = Path(__file__).parent.parent / "README.md"


def rules() -> list[str]:
    """The ACL line of the README."""
    found = re.search(r"^ACL SETUSER (\S+) on (.*)$", README.read_text(), re.MULTILINE)
    assert found
    assert found[1] == "dewy"
    return ["on", *found[2].replace(">PASSWORD", f">{PASSWORD}").split()]


def user_with(server: RedisServer, *given: str) -> RedisStore:
    server.admin("ACL", "SETUSER", "dewy", "reset", *given)
    server.admin("ACL", "LOG", "RESET")
    return store_of(f"redis://dewy:{PASSWORD}@127.0.0.1:{server.port}/1")


def use(store: RedisStore) -> None:
    """All that dewy does."""
    assert store.get("dewy:a") is None
    store.set("dewy:a", b"x")
    assert list(store.keys("dewy:")) == ["dewy:a"]
    assert store.compare_and_set("dewy:a", b"x", b"y")
    assert store.watch("dewy:a", b"x", 5) == b"y"
    assert store.watch("dewy:a", b"y", 0.3) == b"y"
    assert store.compare_and_set("dewy:a", b"y", None)
    store.delete("dewy:a")


def test_rights_of_the_readme_are_enough(own_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """For everything, and nothing that is denied is even tried; but not for others' keys."""
    monkeypatch.setattr("dewy_cache_redis.links._CHECK_AFTER", 0.001)  # so that idle connections are tried out too
    monkeypatch.setattr("dewy_cache_redis.store._PING_AFTER", 0.05)
    store = user_with(own_server, *rules())
    use(store)
    assert own_server.admin("ACL", "LOG") == []
    for call in (lambda: store.get("other"), lambda: store.watch("other", None, 1)):
        with pytest.raises(CacheError, match="may not") as raised:
            call()
        assert "prefix" in raised.value.hint


def test_each_right_of_the_readme_is_needed(own_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of them, something fails, and says that it is a matter of rights."""
    monkeypatch.setattr("dewy_cache_redis.links._CHECK_AFTER", 0.001)
    monkeypatch.setattr("dewy_cache_redis.store._PING_AFTER", 0.05)
    for_nothing = {"+client|setinfo", "+role"}  # the library's introduction, which may fail; what Sentinels' users need
    for rule in rules():
        if rule in for_nothing or not rule.startswith(("+", "~", "&")):
            continue
        store = user_with(own_server, *(other for other in rules() if other != rule))
        with pytest.raises(CacheError, match="may not"):
            use(store)
        own_server.admin("FLUSHALL")


def test_claim_without_the_right_to_publish_is_not_made(own_server: RedisServer) -> None:
    """It fails as a whole: nobody would hear of it."""
    store = user_with(own_server, *(rule for rule in rules() if not rule.startswith("&")))
    with pytest.raises(CacheError, match="may not"):
        store.compare_and_set("dewy:a", None, b"x")
    assert store.get("dewy:a") is None
