"""What the HTTP client does with a server that behaves, and whom it gives its credentials to."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dewy import __version__
from dewy.http import HttpClient, HttpError, Limits, Retries
from http_server import Connection, Hangup, Request, Server, hangs, says, script

TOKEN = {"Authorization": "Bearer s3cr3t-canary"}


def client(**settings: object) -> HttpClient:
    return HttpClient({}, **{"retries": Retries(tries=1), **settings})  # type: ignore[arg-type]


def test_importing_the_client_loads_no_http_library_and_making_one_neither() -> None:
    code = (
        "import sys, dewy.http, dewy.backends.http; dewy.http.HttpClient({})\n"
        "print([name for name in ('httpcore', 'httpx', 'h11', 'ssl', 'socket') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout
    assert printed.strip() == "[]"


def test_an_answer_has_status_header_content_and_json() -> None:
    with Server(says(200, b'{"a": [1]}', X_Thing="one")) as server, client() as http:
        response = http.get(f"{server.url}/path?x=1")
    assert (response.status, response.json(), response.text) == (200, {"a": [1]}, '{"a": [1]}')
    assert response.headers["x-ThInG"] == "one"
    request = server.requests[0]
    assert (request.method, request.target) == ("GET", "/path?x=1")
    assert request.headers["user-agent"] == f"dewy/{__version__}"
    assert request.headers["accept"] == "*/*"


def test_the_callers_header_fields_take_the_place_of_the_clients_own() -> None:
    with Server(says()) as server, client() as http:
        http.get(server.url, headers={"accept": "application/json", "User-Agent": "me"})
    assert server.requests[0].headers["accept"] == "application/json"
    assert server.requests[0].headers["user-agent"] == "me"


def test_connections_are_used_again_across_calls_statuses_and_redirects() -> None:
    def application(request: Request, connection: Connection) -> None:
        match request.target:
            case "/moved":
                connection.answer(302, b"gone there", {"Location": "/"})
            case "/missing":
                connection.answer(404, b"no")
            case "/head":
                connection.answer(200, headers={"Content-Length": "100000"})
            case _ if "if-none-match" in request.headers:
                connection.answer(304, headers={"ETag": '"1"', "Content-Length": "100000"})
            case _:
                connection.answer(200, b"x" * 100_000, {"ETag": '"1"'})

    with Server(application) as server, client() as http:
        for _ in range(5):
            http.get(server.url)
            http.get(f"{server.url}/moved")
            http.request("HEAD", f"{server.url}/head")
            with pytest.raises(HttpError):
                http.get(f"{server.url}/missing")
    assert len(server.requests) == 25
    assert server.connections == 1


def test_a_connection_that_the_server_closed_while_idle_is_replaced_unseen() -> None:
    closed = threading.Event()

    def application(_request: Request, connection: Connection) -> None:
        connection.answer(200, b"ok")
        if connection.number == 1:
            connection.sock.shutdown(2)
            closed.set()

    with Server(application) as server, client() as http:
        http.request("POST", server.url)
        assert closed.wait(5)
        http.request("POST", server.url)
    assert (server.connections, len(server.requests)) == (2, 2)


def test_many_threads_share_one_client() -> None:
    with (
        Server(says(200, b"ok", ETag='"1"')) as server,
        client(limits=Limits(connections=4)) as http,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = list(pool.map(lambda n: http.get(f"{server.url}/{n % 7}").content, range(200)))
    assert set(answers) == {b"ok"}
    assert server.connections <= 4


def test_a_connection_that_was_idle_for_too_long_is_not_used_again() -> None:
    with Server(says()) as server, client(limits=Limits(idle=0)) as http:
        for _ in range(3):
            http.get(server.url)
    assert server.connections == 3


def test_closing_the_client_closes_its_connections() -> None:
    ended = threading.Event()

    def application(_request: Request, connection: Connection) -> None:
        connection.answer()
        if connection.sock.recv(1) == b"":
            ended.set()
        raise Hangup

    with Server(application) as server:
        with client() as http:
            http.get(server.url)
            assert not ended.is_set()
        assert ended.wait(5)


def test_an_encoded_answer_is_decoded_also_in_several_members() -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two")
    with Server(says(200, body, Content_Encoding="gzip")) as server, client() as http:
        assert http.get(server.url).content == b"one two"
    assert server.requests[0].headers["accept-encoding"] == "gzip"


def test_a_body_goes_with_post_and_put() -> None:
    with Server(says(201, b"made")) as server, client() as http:
        assert http.request("post", server.url, content=b"hello", headers={"Content-Type": "text/plain"}).status == 201
        http.request("PUT", server.url, content=b"")
    assert [(request.method, request.body) for request in server.requests] == [("POST", b"hello"), ("PUT", b"")]
    assert server.requests[0].headers["content-type"] == "text/plain"


@pytest.mark.parametrize(("status", "method", "arrives"), [(303, "POST", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT")])
def test_a_redirect_keeps_method_and_body_as_its_status_says(status: int, method: str, arrives: str) -> None:
    with Server(script(says(status, Location="/there"), says())) as server, client() as http:
        http.request(method, server.url, content=b"body")
    last = server.requests[-1]
    assert (last.method, last.target, last.body) == (arrives, "/there", b"body" if arrives == method else b"")


def test_a_post_that_is_redirected_without_a_rule_is_refused() -> None:
    with Server(says(302, Location="/there")) as server, client() as http:
        with pytest.raises(HttpError, match=r"redirects a POST request \(302\)"):
            http.request("POST", server.url)
        assert len(server.requests) == 1


def test_what_is_not_ascii_in_urls_and_redirects_arrives_percent_encoded() -> None:
    location = "/ünd da".encode().decode("latin-1")
    with Server(script(says(302, Location=location), says())) as server, client() as http:
        http.get(f"{server.url}/größe 1?q=ä b%20c")
    assert [request.target for request in server.requests] == ["/gr%C3%B6%C3%9Fe%201?q=%C3%A4%20b%20c", "/%C3%BCnd%20da"]


# ------------------------------------------------------------------------------------------------------------ credentials

SECRET_FIELDS = {"PRIVATE-TOKEN": "glpat-canary", "X-Consul-Token": "consul-canary", "Cookie": "session=canary"}


@pytest.mark.parametrize("given_as", ["credentials", "headers", "userinfo"])
def test_no_credential_reaches_the_host_that_a_redirect_leads_to(given_as: str) -> None:
    """Neither what is given as a credential, nor what is one by its name, nor the URL's user."""
    secrets = {**SECRET_FIELDS, **TOKEN}
    with (
        Server(says(200, b"stored")) as storage,
        Server(says(302, Location=f"{storage.url}/signed?sig=1")) as api,
        client() as http,
    ):
        match given_as:
            case "credentials":
                response = http.get(f"{api.url}/asset", credentials=secrets, headers={"Accept": "application/x"})
            case "headers":
                response = http.get(f"{api.url}/asset", headers={"Accept": "application/x", **secrets})
            case _:
                url = f"http://user:canary@{api.host}/asset"
                response = http.get(url, headers={"Accept": "application/x"})
    assert response.content == b"stored"
    assert response.url == f"{storage.url}/signed?sig=1"
    assert api.requests[0].headers["authorization"] in {"Bearer s3cr3t-canary", "Basic dXNlcjpjYW5hcnk="}
    assert "canary" not in repr(storage.requests)
    assert "authorization" not in storage.requests[0].headers
    assert storage.requests[0].headers["accept"] == "application/x"
    assert storage.requests[0].headers["host"] == storage.host


def test_credentials_stay_when_the_redirect_stays_and_do_not_come_back_once_left() -> None:
    """A host that got no credentials must not be able to choose what they are used for."""

    def elsewhere(_request: Request, connection: Connection) -> None:
        connection.answer(302, headers={"Location": f"{api.url}/chosen-by-another"})

    def application(request: Request, connection: Connection) -> None:
        targets = {"/": "/moved", "/moved": f"{other.url}/x"}
        location = targets.get(request.target, "")
        connection.answer(302 if location else 200, headers={"Location": location})

    with Server(application) as api, Server(elsewhere) as other, client() as http:
        http.get(api.url, credentials=TOKEN)
    seen = [(request.target, "authorization" in request.headers) for request in api.requests]
    assert seen == [("/", True), ("/moved", True), ("/chosen-by-another", False)]


def test_the_pages_of_a_list_are_read_to_the_end_and_the_urls_user_goes_along() -> None:
    def application(request: Request, connection: Connection) -> None:
        page = int(request.target.rpartition("=")[2])
        link = f'</list?page={page + 1}>; rel="next"' if page < 3 else f'<{server.url}/list?page=1>; rel="first"'
        connection.answer(200, str(page).encode(), {"Link": link})

    with Server(application) as server, client() as http:
        pages = [page.text for page in http.pages(f"http://me:pw@{server.host}/list?page=1")]
    assert pages == ["1", "2", "3"]
    assert all("authorization" in request.headers for request in server.requests)


def test_a_next_page_on_another_host_gets_nothing() -> None:
    with Server(says()) as other, Server(says(200, Link=f'<{other.url}/steal>; rel="next"')) as api, client() as http:
        pages = http.pages(api.url, credentials=TOKEN)
        next(pages)
        with pytest.raises(HttpError, match="next page on another host"):
            next(pages)
    assert other.requests == []


def test_pages_that_lead_back_have_no_end_and_are_given_up() -> None:
    with Server(says(200, Link='</>; rel="next"')) as server, client() as http:
        with pytest.raises(HttpError, match="have no end"):
            list(http.pages(f"{server.url}/"))
        assert len(server.requests) == 1


# ----------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "credentials", "says_so"),
    [
        (401, None, "wants credentials"),
        (401, TOKEN, "does not accept the credentials"),
        (403, TOKEN, "refuses GET"),
        (404, None, "has nothing at"),
        (407, None, "the proxy wants credentials"),
        (500, None, "fails with 500 Internal Server Error"),
        (418, None, "answered 418"),
        (304, None, "answered 304 Not Modified"),
        (302, None, "answered 302 Found"),
    ],
)
def test_each_failure_is_a_sentence_with_host_path_and_status_and_no_secret(
    status: int, credentials: dict[str, str] | None, says_so: str
) -> None:
    with Server(says(status, X_Echo="s3cr3t-canary")) as server, client() as http:
        url = f"http://user-canary:pw-canary@{server.host}/path?sig=query-canary#fragment-canary"
        with pytest.raises(HttpError) as caught:
            http.get(
                url if credentials is None and status != 401 else f"{server.url}/path?x=canary", credentials=credentials
            )
    error = caught.value
    assert says_so in str(error)
    assert server.host in str(error) or status == 407
    assert "/path" in str(error)
    assert error.status == status
    assert error.transient == (status == 500)
    assert "canary" not in f"{error} {error!r} {error.response!r}"


def test_what_the_server_itself_says_is_told_in_one_short_line() -> None:
    body = b'{"message": "Resource protected by organization SAML enforcement.\\nline two \\u001b[31m' + b"x" * 500 + b'"}'
    with (
        Server(says(403, body, Content_Type="application/json")) as server,
        client() as http,
        pytest.raises(HttpError) as caught,
    ):
        http.get(server.url)
    assert "(403): Resource protected by organization SAML enforcement. line two [31mxx" in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.response is not None
    assert caught.value.response.json()["message"].startswith("Resource protected")


def test_an_answer_that_is_no_json_says_where_it_came_from() -> None:
    with (
        Server(says(200, b"<html>login</html>")) as server,
        client() as http,
        pytest.raises(HttpError, match=r"/index\.json\?\*\*\* is not the JSON it should be"),
    ):
        http.get(f"{server.url}/index.json?key=canary").json()


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "file:///etc/passwd", "http://", "nothing", "http://host:99999/", "http://[::1/", "user:canary@host/x"],
)
def test_what_is_no_http_url_is_refused_by_name_and_without_its_secrets(url: str) -> None:
    with client() as http, pytest.raises(HttpError, match="is not an http or https URL") as caught:
        http.get(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x/y", "javascript:alert(1)", "//[", "gopher://x"])
def test_a_redirect_to_anything_but_http_is_refused(location: str) -> None:
    with (
        Server(says(302, Location=location)) as server,
        client() as http,
        pytest.raises(HttpError, match="redirects to something that is no http or https URL"),
    ):
        http.get(server.url)


def test_redirects_in_a_circle_come_to_an_end() -> None:
    with Server(says(302, Location="/again")) as server, client() as http:
        with pytest.raises(HttpError, match="more than 8 redirects"):
            http.get(server.url)
        assert len(server.requests) == 9


def test_a_header_field_with_a_line_break_is_refused_without_its_value() -> None:
    with Server(says()) as server, client() as http:
        with pytest.raises(HttpError, match="'Authorization' cannot be sent") as caught:
            http.get(server.url, credentials={"Authorization": "Bearer canary\r\nX-Injected: 1"})
        assert server.requests == []
    assert "canary" not in str(caught.value)


def test_a_closed_client_says_so() -> None:
    http = client()
    http.close()
    with pytest.raises(HttpError, match="client is closed"):
        http.get("http://127.0.0.1:1/")


def test_all_connections_in_use_is_an_error_in_time() -> None:
    limits = Limits(connections=1, connect=0.2, total=0.6)
    arrived = threading.Event()

    def application(request: Request, connection: Connection) -> None:
        arrived.set()
        hangs(request, connection)

    with Server(application) as server, client(limits=limits) as http, ThreadPoolExecutor(1) as pool:
        first = pool.submit(http.get, server.url)
        assert arrived.wait(5)
        with pytest.raises(HttpError, match="all 1 connections are in use"):
            http.get(server.url)
        with pytest.raises(HttpError, match=r"within 0\.6s"):
            first.result(10)
