"""A service account of the test's own, and the server at which its key is exchanged for tokens."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["SignIn"]


class SignIn:
    """Gives tokens, each another one; or, while ``refuses`` is set, none."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.refuses = ""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> SignIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def write_key(self, path: Path) -> Path:
        """Writes a service account's key file, of the form that Google's console gives out."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "test",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": "deploy@test.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"http://127.0.0.1:{self._server.server_address[1]}/token",
        }
        path.write_text(json.dumps(account))
        return path

    def answer(self) -> tuple[int, dict[str, object]]:
        """To the next who asks for a token."""
        if self.refuses:
            return 400, {"error": "invalid_grant", "error_description": self.refuses}
        self.tokens.append(f"token-{len(self.tokens) + 1}-which-must-not-be-shown")
        return 200, {"access_token": self.tokens[-1], "expires_in": 3600, "token_type": "Bearer"}


def _handler(sign_in: SignIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = sign_in.answer()
            body = json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    return Handler
