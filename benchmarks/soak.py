"""What one dewy needs after many deployments: memory, descriptors, threads, processes and disk.

    python benchmarks/soak.py --deployments 500

A real ``dewy server`` with health checks, preflight and hooks; every tenth version is broken. Needs Go.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import astuple
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = sorted(str(folder) for folder in (*ROOT.glob("packages/*/tests"), ROOT / "tests"))

from publishing import Directory  # noqa: E402
from running import free_port, running  # noqa: E402
from soaking import EVERY, command, soak  # noqa: E402
from trials import go_archives, unpacked  # noqa: E402


def main() -> None:
    """Prints one row every so many deployments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry, root = Directory(folder / "registry"), folder / "root"
        root.mkdir()
        server = unpacked(go_archives(folder)("v1.0.0"), folder)
        began = time.monotonic()
        print("deployments  RSS KiB  descriptors  threads  children  disk KiB  files")
        with running("server", *command(registry, root, free_port())) as process:
            for sample in soak(process, registry, root, server, options.deployments, EVERY):
                print("{:11}  {:7}  {:11}  {:7}  {:8}  {:8}  {:5}".format(*astuple(sample)), flush=True)
        print(f"{time.monotonic() - began:.0f}s")


if __name__ == "__main__":
    main()
