"""What a fleet costs upstream, and how long it takes to converge: without a shared cache, with Redis, with Consul.

    python benchmarks/fleet.py --hosts 50

Real dewy processes against a server that answers as GitHub does and counts. Needs the distributions installed with their
``[test]`` extras; Consul from PATH or ``DEWY_TEST_CONSUL``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path[:0] = sorted(str(folder) for folder in (*ROOT.glob("packages/*/tests"), ROOT / "tests"))

from consul_agent import start_agent  # noqa: E402
from fleet import Upstream, hosts, site  # noqa: E402
from ghr_github import GitHub  # noqa: E402
from redis_server import RedisServer, binary_of  # noqa: E402


@dataclass
class Figures:
    """What one run cost.

    Attributes:
        listings: Questions to the registry in the whole run.
        seconds: How long the run was.
        downloads: Fetches of artifacts.
        mebibytes: That were fetched.
        converged: Seconds from each publication until all hosts serve it.
    """

    listings: int
    seconds: float
    downloads: int
    mebibytes: float
    converged: list[float]


@contextmanager
def no_store(_folder: Path) -> Iterator[str]:
    yield "file://"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    with RedisServer(binary_of("redis"), folder) as server:
        yield server.url


@contextmanager
def consul(folder: Path) -> Iterator[str]:
    with start_agent(folder) as agent:
        yield f"consul://{agent.address}"


def measure(store: Callable[[Path], object], options: argparse.Namespace) -> Figures:
    """Starts a fleet, publishes versions one after the other, and counts."""
    with tempfile.TemporaryDirectory() as folder, store(Path(folder) / "store") as url, GitHub() as server:  # type: ignore[attr-defined]
        upstream = Upstream(server)
        upstream.publish("v1.0.0", site("v1.0.0", options.size << 20))
        cache = url if url == "file://" else f"{url}?registry-ttl={options.ttl}s"
        with hosts(upstream, cache, interval=options.interval) as fleet:
            fleet.start(options.hosts)
            fleet.wait_for("v1.0.0", 300)
            server.forget()
            began, converged = time.monotonic(), []
            for number in range(1, options.versions + 1):
                published = time.monotonic()
                upstream.publish(f"v1.{number}.0", site(f"v1.{number}.0", options.size << 20))
                fleet.wait_for(f"v1.{number}.0", 300)
                converged.append(time.monotonic() - published)
            seconds = time.monotonic() - began
            downloads = upstream.downloads
            size = sum(len(site(f"v1.{number}.0", options.size << 20)) for number in range(1, options.versions + 1))
            return Figures(
                upstream.listings, seconds, downloads, downloads * size / options.versions / 2**20, converged
            )  # fmt: skip


def main() -> None:
    """Prints one row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--versions", type=int, default=5)
    parser.add_argument("--size", type=int, default=4, help="of the artifact, MiB")
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--ttl", type=int, default=30)
    options = parser.parse_args()
    print(f"{options.hosts} hosts, {options.versions} versions, every {options.interval:g}s, registry-ttl {options.ttl}s")
    print(f"{'cache':8} {'listings':>9} {'per minute':>11} {'downloads':>10} {'MiB':>8} {'to converge: median, most':>30}")
    for store in (no_store, redis, consul):
        figures = measure(store, options)
        print(
            f"{store.__name__.replace('no_store', 'none'):8} {figures.listings:9} "
            f"{figures.listings * 60 / figures.seconds:11.1f} {figures.downloads:10} {figures.mebibytes:8.2f} "
            f"{median(figures.converged):14.1f}s {max(figures.converged):13.1f}s",
            flush=True,
        )


if __name__ == "__main__":
    main()
