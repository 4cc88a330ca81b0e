"""One download for a fleet, and that nobody takes what another one means (R42)."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from dewy.backends.plugin import FILE_ARTIFACT, FILE_CATALOG, HTTP_ARTIFACT
from dewy.errors import DamagedError
from dewy.keeping import SharedKeeping
from dewy.plugins import Found, Plugin
from dewy.settings import Settings
from dewy.sharing import downloads as shared_downloads
from dewy.sharing.downloads import Downloads
from dewy.sharing.identity import bytes_identity, registry_identity
from dewy.sink import Sink, Watched
from dewy.types import CATALOG_OPTIONS, Backend, Catalog, Platform, Release
from fleet_hosts import Host, Upstream, release_of
from kv_store import DictStore

PLUGIN = Plugin("test", "test", "1", "loaded")
STORE: Backend[Catalog] = Backend(
    schemes=("store",), summary="", examples=(), options=CATALOG_OPTIONS, environment=("STORE_URL",),
    open=lambda _url, _context: None,  # type: ignore[arg-type, return-value]  # never opened
)  # fmt: skip


def identity(url: str = "store://bucket/app", platform: str = "amd64", host: str = "web1", **settings: object) -> str:
    environ = cast(dict[str, str], settings.pop("environ", {}))
    backend = FILE_CATALOG if url.startswith("file:") else STORE
    chosen = Settings(command="assets", root=Path("/srv"), registry=url, environ=environ, **settings)  # type: ignore[arg-type]
    return registry_identity(Found("registry", backend, PLUGIN), chosen, Platform("linux", platform), host)


def test_hosts_that_ask_alike_share_an_answer() -> None:
    assert identity() == identity(host="web2") == identity(environ={"HOME": "/root"})
    assert identity("store://user:one@bucket/app") == identity("store://user:other@bucket/app"), "a password is no place"


def test_whatever_changes_the_answer_keeps_hosts_apart() -> None:
    others = [
        identity("store://bucket/other"),
        identity("store://bucket/app?pre-release=true"),
        identity("store://bucket/app?artifact=x"),
        identity(platform="arm64"),
        identity(slot="blue"),
        identity(constraint="^1"),
        identity(calver="YYYY.MM.MICRO"),
        identity(environ={"STORE_URL": "https://elsewhere"}),
    ]
    assert len({identity(), *others}) == 9


def test_a_directory_is_each_hosts_own() -> None:
    assert identity("file:///srv/releases", host="web1") != identity("file:///srv/releases", host="web2")


def of_bytes(release: Release, host: str = "web1") -> str:
    backend = FILE_ARTIFACT if release.url.startswith("file:") else HTTP_ARTIFACT
    return bytes_identity(release, Found("artifact", backend, PLUGIN), {}, host)


def test_the_same_digest_is_the_same_artifact_wherever_it_comes_from() -> None:
    release = release_of("v1.0.0", digests=("sha256:" + "a" * 64,))
    assert of_bytes(release) == of_bytes(replace(release, url="https://signed.example.com/x?sig=1"))
    assert of_bytes(release) != of_bytes(replace(release, digests=("sha256:" + "b" * 64,)))


def test_without_a_strong_digest_the_source_must_be_the_same() -> None:
    release = release_of("v1.0.0", fingerprint="etag", size=3, digests=("md5:" + "a" * 32,))
    others = [
        replace(release, url="https://other.example.com/app.tar.gz"),
        replace(release, fingerprint="changed"),
        replace(release, size=4),
        replace(release, digests=()),
    ]
    assert len({of_bytes(release), *map(of_bytes, others)}) == 5
    local = replace(release, url="file:///srv/app.tar.gz")
    assert of_bytes(local, "web1") != of_bytes(local, "web2")


def keeping_of(host: Host) -> SharedKeeping:
    return SharedKeeping(host.cache, of_bytes)


def stored(keeping: SharedKeeping, release: Release) -> tuple[str, bytes]:
    content = io.BytesIO()
    sink = Sink(content, "app", 1 << 30, time.monotonic, lambda _size: None)
    return keeping.copy_out(release, sink), content.getvalue()


def store(keeping: SharedKeeping, release: Release, content: bytes, digest: str = "sha256:x") -> None:
    source = Watched(io.BytesIO(content), time.monotonic, keeping.head(digest))
    keeping.store(release, digest, cast(BinaryIO, source))


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_what_is_kept_comes_back_with_what_it_is(size: int) -> None:
    keeping = keeping_of(Host(DictStore(), Upstream(release_of("v1.0.0"))))
    release, content = release_of("v1.0.0"), b"\n{}" * size
    assert stored(keeping, release) == ("", b"")
    store(keeping, release, content)
    assert stored(keeping, release) == ("sha256:x", content)


def test_two_registries_with_the_same_names_in_one_store_never_mix() -> None:
    keeping = keeping_of(Host(DictStore(), Upstream(release_of("v1.0.0"))))
    one, two = release_of("v1.0.0"), replace(release_of("v1.0.0"), url="https://two.example.com/app.tar.gz")
    store(keeping, one, b"one")
    assert stored(keeping, two) == ("", b"")
    store(keeping, two, b"two")
    keeping.discard(two)
    assert stored(keeping, one) == ("sha256:x", b"one")


def test_a_value_that_does_not_say_what_it_is_is_damaged() -> None:
    host = Host(DictStore(), Upstream(release_of("v1.0.0")))
    keeping, release = keeping_of(host), release_of("v1.0.0")
    host.cache.write(keeping.key(release), io.BytesIO(b"some archive"))
    with pytest.raises(DamagedError):
        stored(keeping, release)


@pytest.mark.parametrize("whence", [io.SEEK_SET, io.SEEK_CUR, io.SEEK_END])
def test_what_is_stored_can_be_read_again_from_any_place(whence: int) -> None:
    whole = b"head\n" + b"0123456789" * 10
    for at in range(0, len(whole), 3):
        source = Watched(io.BytesIO(whole[5:]), time.monotonic, b"head\n")
        assert source.read(50)
        source.seek({io.SEEK_SET: at, io.SEEK_CUR: at - source.tell(), io.SEEK_END: at - len(whole)}[whence], whence)
        assert source.read(1000) in (whole[at:], whole[at:5])
        source.seek(0)
        assert source.readall() == whole


def at_once(turns: list[Downloads], release: Release, download: object) -> None:
    threads = [threading.Thread(target=download, args=(turn,)) for turn in turns]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_of_many_hosts_one_downloads_while_the_others_wait() -> None:
    data = DictStore()
    hosts = [Host(data, Upstream(release_of("v1.0.0"))) for _ in range(8)]
    there, downloads = threading.Event(), []

    def work(turn: Downloads) -> None:
        with turn.turn("app", release_of("v1.0.0")):
            if not there.is_set():
                time.sleep(0.5)
                downloads.append(turn)
                there.set()

    at_once([Downloads(host.claims, host.waker, host.said) for host in hosts], release_of("v1.0.0"), work)
    assert len(downloads) == 1
    assert sum(host.said.names == ["artifact.awaited"] for host in hosts) == 7


def test_after_a_download_that_failed_the_others_go_on_side_by_side() -> None:
    """Not one after the other: a fleet of a hundred would take a hundred times as long."""
    data = DictStore()
    hosts = [Host(data, Upstream(release_of("v1.0.0"))) for _ in range(6)]
    tries = []

    def work(turn: Downloads) -> None:
        with turn.turn("app", release_of("v1.0.0")):
            tries.append(time.monotonic())
            time.sleep(0.6)

    at_once([Downloads(host.claims, host.waker, host.said) for host in hosts], release_of("v1.0.0"), work)
    assert len(tries) == 6
    assert max(tries) - min(tries) < 2


def test_waiting_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_downloads, "_PATIENCE", 0.5)
    data = DictStore()
    slow, other = (Host(data, Upstream(release_of("v1.0.0"))) for _ in range(2))
    with slow.claims.held("download app") as mine:
        assert mine
        started = time.monotonic()
        with Downloads(other.claims, other.waker, other.said).turn("app", release_of("v1.0.0")):
            assert 0.4 < time.monotonic() - started < 5


def test_without_the_store_it_is_this_hosts_turn_at_once() -> None:
    host = Host(DictStore(), Upstream(release_of("v1.0.0")))
    host.cut_off()
    entered = []
    with Downloads(host.claims, host.waker, host.said).turn("app", release_of("v1.0.0")):
        entered.append(1)
    assert entered == [1]


def test_what_goes_wrong_in_the_block_comes_out_and_the_turn_is_given_back() -> None:
    data = DictStore()
    host = Host(data, Upstream(release_of("v1.0.0")))
    with pytest.raises(DamagedError), Downloads(host.claims, host.waker, host.said).turn("app", release_of("v1.0.0")):
        raise DamagedError("in the block")
    assert data.values == {}
