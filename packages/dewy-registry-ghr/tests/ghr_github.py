"""GitHub's REST API as its documentation has it, with a second host for uploads and a third one that stores the bytes."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import jwt

from ghr_wire import Answer, Request, Wire, of_json

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
OWNER, REPO, REPO_ID = "example", "myapp", 4711
DOCS = "https://docs.github.com/rest"


@dataclass
class Blob:
    """An asset's bytes, and how many transfers of them break off half-way."""

    content: bytes
    cuts: int = 0


@dataclass
class Fault:
    """An answer in place of the right one, to the next ``times`` requests that fit."""

    fits: Callable[[Request], bool]
    answer: Callable[[Request], Answer]
    times: int


@dataclass
class AppKey:
    """A GitHub App that is installed here: its public key, and how long its tokens last."""

    public: str
    id: str = "123456"
    installation: str = "987"
    lifetime: timedelta = timedelta(hours=1)
    issued: dict[str, datetime] = field(default_factory=dict)


class GitHub:
    """A GitHub with one repository, ``example/myapp``. ``prefix`` is that of an Enterprise Server's API."""

    def __init__(self, prefix: str = "", *, private: bool = True) -> None:
        self.prefix, self.private = prefix, private
        self.name = f"{OWNER}/{REPO}"
        self.moved_from: str | None = None
        self.tokens = {TOKEN}
        self.app: AppKey | None = None
        self.releases: list[dict[str, Any]] = []  # newest first
        self.blobs: dict[int, Blob] = {}
        self.seen: list[tuple[Request, int]] = []
        self.faults: list[Fault] = []
        self.remaining = 5000
        self.frozen: dict[str, tuple[bytes, str]] | None = None  # answers by target, to spare work while nothing changes
        self.limit_reset = time.time() + 3000
        self._ids = itertools.count(1000)
        self._wire = Wire({"api": "127.0.0.1", "uploads": "127.0.0.2", "storage": "127.0.0.3"}, self._answer)

    # ------------------------------------------------------------------------------------------------- what tests use

    @property
    def api(self) -> str:
        return f"{self._wire.url('api')}{self.prefix}"

    @property
    def storage(self) -> str:
        return self._wire.url("storage")

    @property
    def environ(self) -> dict[str, str]:
        return {"GH_TOKEN": TOKEN, "GITHUB_API_URL": self.api}

    @property
    def url(self) -> str:
        return f"ghr://{self.name}"

    def publish(self, version: str, files: Mapping[str, bytes], **fields: Any) -> dict[str, Any]:
        release = next((release for release in self.releases if release["tag_name"] == version), None)
        if release is None:
            release = self._release(version) | fields
            self.releases.insert(0, release)
        release["assets"] = [asset for asset in release["assets"] if asset["name"] not in files]
        release["assets"] += [self._asset(name, content) for name, content in files.items()]
        return release

    def remove(self, version: str) -> None:
        self.releases = [release for release in self.releases if release["tag_name"] != version]

    def put(self, name: str, content: bytes, cuts: int = 0) -> str:
        release = self.publish("v1.0.0", {name: content})
        self.blobs[release["assets"][-1]["id"]].cuts = cuts
        return f"{self.url}/tag/v1.0.0/{quote(name, safe='')}"

    def put_cut(self, name: str, content: bytes, cuts: int) -> str:
        return self.put(name, content, cuts)

    def missing(self) -> str:
        return f"{self.url}/tag/v1.0.0/there-is-no-such-file"

    def fail(self, where: str, answer: Answer | Callable[[Request], Answer], times: int = 1) -> None:
        """The next requests in whose method and target ``where`` occurs are answered so."""
        said = answer if callable(answer) else lambda _request: answer
        self.faults.append(Fault(lambda request: where in f"{request.method} {request.target}", said, times))

    def statuses(self, role: str = "api") -> list[int]:
        return [status for request, status in self.seen if request.role == role]

    def requests(self, role: str = "api") -> list[str]:
        return [f"{request.method} {request.target}" for request, _ in self.seen if request.role == role]

    def forget(self) -> None:
        self.seen.clear()

    def __enter__(self) -> Self:
        self._wire.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._wire.__exit__(kind, error, trace)

    # -------------------------------------------------------------------------------------------------------- answering

    def _answer(self, request: Request) -> Answer:
        fault = next((fault for fault in self.faults if fault.times and fault.fits(request)), None)
        if fault:
            fault.times -= 1
            answer = fault.answer(request)
        else:
            answer = {"api": self._api, "uploads": self._upload, "storage": self._storage}[request.role](request)
        self.seen.append((request, answer.status))
        return answer

    def _api(self, request: Request) -> Answer:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.method == "POST" and request.parts[:2] == ["api", "uploads"]:
            return self._upload(request)
        if request.parts[-1] == "access_tokens":
            return self._access_token(token)
        if token and not self._knows(token):
            return of_json({"message": "Bad credentials", "documentation_url": DOCS, "status": "401"}, 401)
        if self.remaining <= 0:
            return of_json({"message": "API rate limit exceeded for user ID 1."}, 403, **self._limits())
        answer = self._not_found() if self.private and not token else self._read(request, token)
        if not (answer.status == 304 and token):
            self.remaining -= 1
        return Answer(answer.status, answer.body, {**answer.headers, **self._limits()})

    def _read(self, request: Request, token: str) -> Answer:
        parts = request.parts[len(self.prefix.strip("/").split("/")) if self.prefix else 0 :]
        match parts:
            case ["repos", owner, repo, *_] if f"{owner}/{repo}" == self.moved_from:
                rest = request.target.partition(f"/{repo}/")[2]
                url = f"{self.api}/repositories/{REPO_ID}/{rest}"
                return of_json({"message": "Moved Permanently", "url": url}, 301, Location=url)
            case ["repos", owner, repo, "releases", *rest] if f"{owner}/{repo}" == self.name:
                return self._releases(request, rest, token)
            case ["repositories", number, "releases", *rest] if number == str(REPO_ID):
                return self._releases(request, rest, token)
        return self._not_found()

    def _releases(self, request: Request, rest: list[str], token: str) -> Answer:
        match rest:
            case []:
                return self._conditional(request, *self._page(request), token)
            case ["tags", tag]:
                found = [release for release in self.releases if release["tag_name"] == tag and not release["draft"]]
                return self._conditional(request, found[0], {}, token) if found else self._not_found()
            case ["assets", number] if number.isdigit() and self._find(int(number)):
                return self._asset_request(request, int(number))
        return self._not_found()

    def _page(self, request: Request) -> tuple[Any, dict[str, str]]:
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        last = max(1, -(-len(self.releases) // size))
        base = f"{self.api}/repositories/{REPO_ID}/releases?per_page={size}&page="
        links = [f'<{base}{page + 1}>; rel="next"', f'<{base}{last}>; rel="last"'] if page < last else []
        links += [f'<{base}{page - 1}>; rel="prev"', f'<{base}1>; rel="first"'] if page > 1 else []
        return self.releases[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {}

    def _conditional(self, request: Request, document: Any, headers: dict[str, str], token: str) -> Answer:
        body, etag = (self.frozen or {}).get(request.target) or self._body(document, token)
        if self.frozen is not None:
            self.frozen[request.target] = body, etag
        fields = {"ETag": etag, "Vary": "Accept, Authorization", "Cache-Control": "private, max-age=60, s-maxage=60"}
        if request.headers.get("if-none-match") == etag:
            return Answer(304, headers=fields)
        return Answer(200, body, {"Content-Type": "application/json; charset=utf-8", **fields, **headers})

    def _body(self, document: Any, token: str) -> tuple[bytes, str]:
        body = json.dumps(document).encode()
        return body, f'W/"{hashlib.sha256(token.encode() + body).hexdigest()}"'

    def _asset_request(self, request: Request, number: int) -> Answer:
        if request.method == "DELETE":
            for release in self.releases:
                release["assets"] = [asset for asset in release["assets"] if asset["id"] != number]
            return Answer(204)
        if "octet-stream" not in request.headers.get("accept", ""):
            return of_json(self._find(number))
        return Answer(302, headers={"Location": f"{self.storage}/blob/{number}?sig=signed&se=soon"})

    def _upload(self, request: Request) -> Answer:
        if not self._knows(request.headers.get("authorization", "").removeprefix("Bearer ")):
            return of_json({"message": "Bad credentials"}, 401)
        number = int(request.parts[-2])
        release = next((release for release in self.releases if release["id"] == number), None)
        if release is None:
            return self._not_found()
        if any(asset["name"] == request.query["name"] for asset in release["assets"]):
            clash = {"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}
            return of_json({"message": "Validation Failed", "errors": [clash], "documentation_url": DOCS}, 422)
        release["assets"].append(self._asset(request.query["name"], request.body))
        return of_json(release["assets"][-1], 201)

    def _storage(self, request: Request) -> Answer:
        blob = self.blobs.get(int(request.parts[1]))
        if "authorization" in request.headers or request.query.get("sig") != "signed" or blob is None:
            return Answer(400, b"<Error>AuthenticationFailed</Error>", {"Content-Type": "application/xml"})
        etag, size = f'"{hashlib.md5(blob.content).hexdigest()}"', len(blob.content)
        start, status, fields = 0, 200, {"ETag": etag, "Accept-Ranges": "bytes"}
        ranged = request.headers.get("range", "")
        if ranged and request.headers.get("if-range") in (None, etag):
            start, status = int(ranged.removeprefix("bytes=").removesuffix("-")), 206
            fields["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        cut = None
        if blob.cuts > 0:
            blob.cuts -= 1
            cut = (size - start) // 2
        return Answer(status, blob.content[start:] if start else blob.content, fields, cut=cut)

    def _access_token(self, signed: str) -> Answer:
        assert self.app
        try:
            claims = jwt.decode(signed, self.app.public, algorithms=["RS256"], issuer=self.app.id)
        except jwt.PyJWTError:
            return of_json({"message": "A JSON web token could not be decoded"}, 401)
        if claims["exp"] - time.time() > 600:
            return of_json({"message": "'Expiration time' claim ('exp') is too far in the future"}, 401)
        token, expires = f"ghs_{next(self._ids)}{'x' * 30}", datetime.now(UTC) + self.app.lifetime
        self.app.issued[token] = expires
        return of_json({"token": token, "expires_at": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "permissions": {}}, 201)

    # ------------------------------------------------------------------------------------------------------------- parts

    def _knows(self, token: str) -> bool:
        issued = self.app.issued.get(token) if self.app else None
        return token in self.tokens or (issued is not None and issued > datetime.now(UTC))

    def _limits(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(max(0, self.remaining)),
            "X-RateLimit-Reset": str(int(self.limit_reset)),
            "X-RateLimit-Resource": "core",
        }

    def _not_found(self) -> Answer:
        return of_json({"message": "Not Found", "documentation_url": DOCS, "status": "404"}, 404)

    def _find(self, number: int) -> dict[str, Any] | None:
        assets = (asset for release in self.releases for asset in release["assets"])
        return next((asset for asset in assets if asset["id"] == number), None)

    def _release(self, tag: str) -> dict[str, Any]:
        number = next(self._ids)
        uploads = f"{self._wire.url('api')}/api/uploads" if self.prefix else self._wire.url("uploads")
        return {
            "url": f"{self.api}/repos/{self.name}/releases/{number}",
            "upload_url": f"{uploads}/repos/{self.name}/releases/{number}/assets{{?name,label}}",
            "id": number,
            "tag_name": tag,
            "name": tag,
            "draft": False,
            "prerelease": False,
            "created_at": "2024-03-15T14:00:00Z",
            "published_at": "2024-03-15T14:30:22Z",
            "assets": [],
        }

    def _asset(self, name: str, content: bytes) -> dict[str, Any]:
        number = next(self._ids)
        self.blobs[number] = Blob(content)
        return {
            "url": f"{self.api}/repos/{self.name}/releases/assets/{number}",
            "id": number,
            "name": name,
            "label": "",
            "state": "uploaded",
            "content_type": "application/octet-stream",
            "size": len(content),
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "download_count": 0,
            "created_at": "2024-03-15T14:30:22Z",
            "updated_at": "2024-03-15T14:31:00Z",
        }
