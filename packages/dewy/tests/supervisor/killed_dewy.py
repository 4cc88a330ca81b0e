"""A dewy that is going to be killed, run as a program: supervises, and says on its output when it is ready.

killed_dewy.py ROOT PORT COMMAND...
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from dewy.supervisor import Launch, Means, Supervisor, SupervisorSettings, bind, parse_ports
from dewy.testing import Recorder


async def main() -> None:
    """Starts the application and waits for its own end."""
    root, port, *argv = sys.argv[1:]
    sockets = bind(parse_ports([f"127.0.0.1:{port}"]), Recorder())
    means = Means.open(Path(root), sockets, Recorder(), SupervisorSettings(start_grace=0.2), (None, None))
    launch = Launch(argv=tuple(argv), directory=Path(root), environ=dict(os.environ), version="v1")
    supervisor = Supervisor(means)
    await supervisor.start(launch)
    sys.stdout.write(f"{supervisor.status.generations[0].pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
