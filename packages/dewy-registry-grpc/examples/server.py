"""A registry of your own, as small as can be: which platform runs what stands in a JSON file, read at every call.

    pip install grpcio grpcio-tools
    python server.py releases.json --listen 127.0.0.1:50051
    python server.py releases.json --listen 0.0.0.0:443 --cert server.pem --key server.key --clients hosts-ca.pem

Reports are written to standard output, one JSON object a line. registry.proto lies beside this file.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc

# Compiles registry.proto now; a bigger server has grpc_tools.protoc do it once.
messages, services = grpc.protos_and_services("registry.proto")
empty = grpc.protos("google/protobuf/empty.proto")


class Registry(services.RegistryService):
    """Answers what dewy asks."""

    def __init__(self, releases: Path) -> None:
        self._releases = releases

    def Current(self, request: Any, context: grpc.ServicerContext, **_: Any) -> Any:  # noqa: N802 - the contract's name
        """What a platform should run."""
        platform = f"{request.os}/{request.arch}"
        release = json.loads(self._releases.read_text(encoding="utf-8")).get(platform)
        if release is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is published for {platform}")
        stated = {"dewy-artifact-digest": release.get("digest"), "dewy-artifact-size": release.get("size")}
        context.send_initial_metadata([(name, str(value)) for name, value in stated.items() if value is not None])
        answer = messages.CurrentResponse(
            id=f"{platform}@{release['tag']}", tag=release["tag"], artifact_url=release["artifact_url"]
        )
        if published := release.get("published"):
            answer.created_at.FromDatetime(datetime.fromisoformat(published))
        return answer

    def Report(self, request: Any, context: grpc.ServicerContext, **_: Any) -> Any:  # noqa: N802 - the contract's name
        """How a deployment ended."""
        error = request.err if request.HasField("err") else None
        said = {"id": request.id, "tag": request.tag, "command": request.command, "error": error, "from": context.peer()}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        return empty.Empty()


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", type=Path)
    parser.add_argument("--listen", default="127.0.0.1:50051", help="HOST:PORT; port 0 takes a free one")
    parser.add_argument("--cert", type=Path, help="the server's certificate, and what chains it to its authority")
    parser.add_argument("--key", type=Path, help="its private key")
    parser.add_argument("--clients", type=Path, help="the authority whose certificates hosts must show")
    arguments = parser.parse_args()

    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    services.add_RegistryServiceServicer_to_server(Registry(arguments.releases), server)
    if arguments.cert:
        pair = (arguments.key.read_bytes(), arguments.cert.read_bytes())
        clients = arguments.clients.read_bytes() if arguments.clients else None
        credentials = grpc.ssl_server_credentials([pair], clients, require_client_auth=clients is not None)
        port = server.add_secure_port(arguments.listen, credentials)
    else:
        port = server.add_insecure_port(arguments.listen)
    server.start()
    sys.stderr.write(f"listening on port {port}\n")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stopping.wait()
    server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
