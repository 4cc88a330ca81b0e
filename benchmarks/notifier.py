"""What a notifier costs a deployment: none at all, one that answers, one that never answers, one that nobody answers.

    python benchmarks/notifier.py --pairs 10

Real ``dewy server`` processes, one for each way, side by side, each with its own registry; the ways take turns, each time in
another order, so that whatever else the machine does falls on all of them alike. Needs the distributions installed with
their ``[test]`` extras.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
sys.path[:0] = sorted(str(folder) for folder in (*ROOT.glob("packages/*/tests"), ROOT / "tests"))

from mail_server import MailServer  # noqa: E402
from notifying import SilentServer  # noqa: E402
from publishing import Directory, pack  # noqa: E402
from running import Running, free_port, running  # noqa: E402

SCRIPT = b"#!/bin/sh\nexec sleep 600\n"


class Way:
    """A dewy that deploys with or without a notifier, and how long it took.

    Attributes:
        name: What stands in the table.
        published: Seconds of each deployment, from the publication to the word that it is done; with the wait for a poll.
        deployed: Seconds of each deployment, as dewy says.
    """

    def __init__(self, name: str, registry: Directory, process: Running) -> None:
        self.name, self._registry, self._process = name, registry, process
        self.published: list[float] = []
        self.deployed: list[float] = []

    def deploy(self, version: str) -> None:
        """Publishes a version and waits until it runs."""
        self._registry.publish(version, pack({"work": (SCRIPT + version.encode(), 0o755)}), "work.tar.gz")
        began = time.monotonic()
        done = self._process.wait_for("deployment.done", version=version)
        self.published.append(time.monotonic() - began)
        self.deployed.append(float(done["seconds"]))


@contextmanager
def ways(folder: Path, grace: float) -> Iterator[list[Way]]:
    """A dewy for each way, until the end of the block."""
    with ExitStack() as stack:
        mail, silent = stack.enter_context(MailServer()), stack.enter_context(SilentServer())
        ports = {"none": 0, "answers": mail.port, "hangs": silent.port, "refuses": free_port()}
        yield [stack.enter_context(_way(folder / name, name, port, grace)) for name, port in ports.items()]
        if silent.holds != 1:
            raise SystemExit("the server that never answers was not asked, or not waited for: the figures mean nothing")


@contextmanager
def _way(folder: Path, name: str, port: int, grace: float) -> Iterator[Way]:
    folder.mkdir()
    registry, root = Directory(folder / "registry"), folder / "root"
    root.mkdir()
    told = ["--notifier", f"mail://127.0.0.1:{port}/ops@example.com?from=dewy@example.com&tls=false"] if port else []
    options = ["--registry", registry.url, "-i", "0.1s", "-C", str(root), "--start-grace", f"{grace}s", *told]
    with running("server", *options, "--", "./current/work") as process:
        way = Way(name, registry, process)
        way.deploy("v1.0.0")  # the first one starts from nothing
        way.published.clear()
        way.deployed.clear()
        yield way


def main() -> None:
    """Prints one row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10, help="deployments for each way")
    parser.add_argument("--start-grace", type=float, default=0.2, help="seconds, a part of each deployment")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which the ways take turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ways(Path(folder), options.start_grace) as all_ways:
        order = random.Random(options.seed)  # noqa: S311 - an order, no secret
        for number in range(1, options.pairs + 1):
            for way in order.sample(all_ways, len(all_ways)):
                way.deploy(f"v1.{number}.0")
        _print(all_ways)


def _print(all_ways: list[Way]) -> None:
    none = all_ways[0]
    print(f"{len(none.deployed)} deployments each, in seconds; from publication to done includes the wait for a poll")
    print(f"{'notifier':10} {'median':>8} {'quartiles':>15} {'most':>8} {'ratio of pairs':>15} {'published to done':>18}")
    for way in all_ways:
        low, _, high = quantiles(way.deployed, n=4)
        ratio = median(mine / other for mine, other in zip(way.deployed, none.deployed, strict=True))
        print(
            f"{way.name:10} {median(way.deployed):8.3f} {f'{low:.3f} {high:.3f}':>15} {max(way.deployed):8.3f} "
            f"{ratio:15.3f} {median(way.published):18.3f}"
        )


if __name__ == "__main__":
    main()
