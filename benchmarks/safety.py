"""Good and broken versions by turns, deployed while users are served: how many of them notice.

    python benchmarks/safety.py --deployments 50 --rate 500

A real ``dewy server`` with a health check, preflight and a watch after the swap; a Go server that is broken in five ways;
new connections at the rate, and beside them kept ones and slow requests. People are told by Slack. Needs Go.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = sorted(str(folder) for folder in (*ROOT.glob("packages/*/tests"), ROOT / "tests"))

from load import Load  # noqa: E402
from notifying import people, title, titles  # noqa: E402
from publishing import Directory  # noqa: E402
from running import free_port, running  # noqa: E402
from trials import Trial, go_archives, options  # noqa: E402


def main() -> None:
    """Prints what users saw, and what people were told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=50)
    parser.add_argument("--rate", type=float, default=500, help="new connections a second")
    parser.add_argument("--bake", type=float, default=1.0, help="seconds")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, people() as team:
        folder, port = Path(name), free_port()
        root = folder / "root"
        root.mkdir()
        trial = Trial(Directory(folder / "registry"), go_archives(folder))
        command = [*options(trial.registry, root, port, "--notifier", "slack://deploys"), "--", "./current/myapp"]
        with running("server", *command, DEWY_BAKE_TIME=f"{wanted.bake:g}s", **team.environ) as process:
            trial.deploy(process, 0)
            began = time.monotonic()
            with Load(port, rate=wanted.rate) as load:
                for number in range(1, wanted.deployments):
                    trial.deploy(process, number, load)
                seconds = time.monotonic() - began
        trial.check(process)
        posts = titles(team.posted())
        told = [posts.count(title("root", "deployment.failed", version=version)) for version in trial.broken]
    strange = sorted(set(load.answers) - set(trial.good))
    print(f"{wanted.deployments} deployments in {seconds:.0f}s, {len(trial.broken)} of them broken in five ways")
    print(
        f"{load.requests} requests, {load.requests / seconds:.0f} a second; {len(load.failures)} failed {load.failures[:5]}"
    )
    print(f"longest time without an answer: {load.longest_silence() * 1000:.0f} ms")
    print(f"answered by a broken version: {sum(load.answers[version] for version in strange)} {strange}")
    print(f"broken versions told of once: {told.count(1)} of {len(told)}")


if __name__ == "__main__":
    main()
