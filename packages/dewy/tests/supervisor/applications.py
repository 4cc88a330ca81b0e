"""An application for the supervisor's tests, run as a program: answers each connection with one line about itself.

applications.py [key=value ...]

boot=SECONDS       sleeps before it is ready
say=TEXT           sends TEXT to NOTIFY_SOCKET once it serves ("READY=1"), `|` between datagrams
early=TEXT         sends TEXT before it boots
late=SECONDS       says READY=1 only so long after it serves
fail=STATUS        prints a line and exits instead of serving
fail_file=PATH     the same, with status 7, while PATH exists
stubborn=1         ignores SIGTERM
work=SECONDS       each answer takes so long, also when SIGTERM comes meanwhile
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time


def notify(text: str) -> None:
    """Sends datagrams as sd_notify(3) does."""
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for datagram in text.split("|"):
            sender.sendto(datagram.encode(), f"\0{address[1:]}")


def inherited() -> list[socket.socket]:
    """The sockets, on which both conventions must agree."""
    pairs = (pair.rpartition("=") for pair in os.environ["SERVER_STARTER_PORT"].split(";") if pair)
    starter = [int(descriptor) for _, _, descriptor in pairs]
    assert os.environ.get("LISTEN_PID", str(os.getpid())) == str(os.getpid())
    systemd = list(range(3, 3 + int(os.environ.get("LISTEN_FDS", "0"))))
    assert starter == systemd, (starter, systemd)
    return [socket.socket(fileno=descriptor) for descriptor in starter]


def answer(connection: socket.socket, work: float) -> None:
    """One line in, one line out."""
    with connection, contextlib.suppress(OSError):
        connection.recv(1024)
        time.sleep(work)
        me = {"pid": os.getpid(), "generation": int(os.environ["SERVER_STARTER_GENERATION"])}
        connection.sendall(json.dumps(me).encode() + b"\n")


def serve(sockets: list[socket.socket], work: float, stop: socket.socket) -> None:
    """Answers until told to stop; what was accepted is answered."""
    with selectors.DefaultSelector() as selector:
        selector.register(stop, selectors.EVENT_READ)
        for listener in sockets:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if stop in ready:
                return
            for listener in ready:
                with contextlib.suppress(BlockingIOError):
                    connection, _ = listener.accept()
                    connection.setblocking(True)
                    answer(connection, work)


def main() -> None:
    """Does as the arguments say."""
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    woken, stop = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGTERM, signal.SIG_IGN if options.get("stubborn") else lambda *_: None)
    if "early" in options:
        notify(options["early"])
    time.sleep(float(options.get("boot", "0")))
    if "fail" in options or os.path.exists(options.get("fail_file", "")):  # noqa: PTH110 - light imports
        sys.stdout.write("about to fail\n")
        sys.exit(int(options.get("fail", "7")))
    sockets = inherited()
    if "late" in options:
        time.sleep(float(options["late"]))
        notify("READY=1")
    if "say" in options:
        notify(options["say"])
    serve(sockets, float(options.get("work", "0")), stop)


if __name__ == "__main__":
    main()
