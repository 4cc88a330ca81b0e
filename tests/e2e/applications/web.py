"""A Python application, for gunicorn (WSGI) and uvicorn (ASGI): answers with its version."""

import os
from pathlib import Path

VERSION = (Path(__file__).parent / "VERSION").read_text().strip()
if VERSION.endswith("broken"):
    raise SystemExit("fatal: cannot read the configuration")


def _body():
    return f"{VERSION} {os.getpid()} {os.environ.get('DEWY_VERSION')}\n".encode()


def wsgi(environ, start_response):
    """For gunicorn."""
    body = _body()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """For uvicorn."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = _body()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
