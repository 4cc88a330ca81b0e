"""Backend URLs: what is read from them, what is said when they are wrong, and that no secret in them is ever shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.types import Option
from dewy.urls import HIDDEN, BackendURL, parse_url, redact_url, scheme_of

OPTIONS = (
    Option("endpoint", "the address", kind="url"),
    Option("no-tls", "in plain text", kind="flag", default="false"),
    Option("retries", "so many", kind="integer"),
    Option("ttl", "for so long", kind="seconds", default="30s"),
    Option("artifact", "the file"),
    Option("token", "the token", secret=True),
)


def parse(url: str, options: Iterable[Option] | None = OPTIONS) -> BackendURL:
    return parse_url(url, options, kind="registry")


def refused(url: str, options: Iterable[Option] | None = OPTIONS) -> UsageError:
    with pytest.raises(UsageError) as raised:
        parse(url, options)
    return raised.value


# ---------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("s3://us-east-1/releases/my%20app", "us-east-1", None, "/releases/my app"),
        ("S3://US-EAST-1", "us-east-1", None, ""),
        ("grpc://127.0.0.1:9000", "127.0.0.1", 9000, ""),
        ("grpc://[::1]:9000/", "::1", 9000, "/"),
        ("grpc://[fe80::1%25eth0]", "fe80::1%eth0", None, ""),
        ("redis://user:pass@[::1]:6379/0", "::1", 6379, "/0"),
        ("file:///srv/releases", "", None, "/srv/releases"),
        ("file:///a//b/../c", "", None, "/a//b/../c"),
        ("grpc://host:", "host", None, ""),
        ("consul+https://h/k%2Fey", "h", None, "/k/ey"),
    ],
)
def test_the_parts_are_read(url: str, host: str, port: int | None, path: str) -> None:
    parsed = parse(url)
    assert (parsed.host, parsed.port, parsed.path) == (host, port, path)
    assert parsed.scheme == url.partition(":")[0].lower()
    assert parsed.raw == url


def test_the_hosts_case_is_kept_for_names_in_which_it_matters() -> None:
    parsed = parse("slack://C024BE91L?artifact=x")
    assert (parsed.host, parsed.host_as_written) == ("c024be91l", "C024BE91L")


@pytest.mark.parametrize("password", ["pass", "p@ss", "p:s/s?#[x]", "100%", "%41", "pä ss", "a+b&c=d"])
def test_user_and_password_are_decoded(password: str) -> None:
    parsed = parse(f"redis://us%40er:{quote(password, safe='')}@host:1/0")
    assert (parsed.username, parsed.password, parsed.host, parsed.port) == ("us@er", password, "host", 1)


def test_a_password_with_a_bare_at_sign_is_understood() -> None:
    assert parse("redis://:p@ss@host/0").password == "p@ss"


def test_options_have_their_kinds() -> None:
    parsed = parse("s3://r/b?endpoint=http://127.0.0.1:8333&no-tls=true&retries=-3&ttl=5m&artifact=a%26b&token=x%3Dy")
    assert parsed.text("endpoint") == "http://127.0.0.1:8333"
    assert parsed.flag("no-tls") is True
    assert parsed.integer("retries") == -3
    assert parsed.seconds("ttl") == 300.0
    assert parsed.text("artifact") == "a&b"
    assert parsed.text("token") == "x=y"


def test_options_that_are_not_given_have_their_defaults() -> None:
    parsed = parse("s3://r/b?artifact=")
    assert (parsed.flag("no-tls"), parsed.seconds("ttl")) == (False, 30.0)
    assert (parsed.text("endpoint"), parsed.integer("retries"), parsed.text("artifact")) == (None, None, None)


def test_a_plus_sign_stays_one_and_names_may_be_in_upper_case() -> None:
    assert parse("s3://r/b?Artifact=a+b%2Bc").text("artifact") == "a+b+c"


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on"])
def test_flags_that_are_set(text: str) -> None:
    assert parse(f"s3://r/b?no-tls={text}").flag("no-tls") is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_flags_that_are_not(text: str) -> None:
    assert parse(f"s3://r/b?no-tls={text}").flag("no-tls") is False


def test_an_option_that_was_never_declared_is_the_programmers_error() -> None:
    with pytest.raises(KeyError):
        parse("s3://r/b").text("nope")


def test_a_query_that_belongs_to_the_resource_is_left_as_it_is() -> None:
    parsed = parse("https://host/file?X-Signature=ab%2Fcd&a=1&a=2", None)
    assert parsed.query == "X-Signature=ab%2Fcd&a=1&a=2"
    assert str(parsed) == f"https://host/file?{HIDDEN}"


# ---------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "s3://r/b?colour=red",
            "unknown option 'colour' in the registry URL s3://r/b?colour=***. A s3:// registry URL knows these options: "
            "artifact, endpoint, no-tls, retries, token, ttl",
        ),
        (
            "s3://r/b?artifact=a&artifact=b",
            "option 'artifact' stands twice in the registry URL s3://r/b?artifact=a&artifact=b",
        ),
        (
            "s3://r/b?no-tls=maybe",
            "option 'no-tls' in the registry URL s3://r/b?no-tls=maybe is 'maybe'. It takes true or false",
        ),
        ("s3://r/b?no-tls", "option 'no-tls' in the registry URL s3://r/b?no-tls is ''. It takes true or false"),
        (
            "s3://r/b?retries=1e3",
            "option 'retries' in the registry URL s3://r/b?retries=1e3 is '1e3'. It takes a whole number",
        ),
        (
            "s3://r/b?ttl=soon",
            "option 'ttl' in the registry URL s3://r/b?ttl=soon is 'soon'. It takes a time such as 30, 30s, 5m or 1h",
        ),
        (
            "s3://r/b?endpoint=localhost",
            "option 'endpoint' in the registry URL s3://r/b?endpoint=localhost is 'localhost'. "
            "It takes a URL such as http://127.0.0.1:9000",
        ),
        ("s3://r/b#x", "the registry URL s3://r/b#*** has a # in it, which has no meaning there. Write it as %23"),
        ("releases", "'releases' is not a URL. It takes the form scheme://…, as in file:///srv/releases"),
        ("://x", "'://x' is not a URL. It takes the form scheme://…, as in file:///srv/releases"),
        ("", "'' is not a URL. It takes the form scheme://…, as in file:///srv/releases"),
    ],
)
def test_what_is_wrong_is_said_exactly(url: str, text: str) -> None:
    assert str(refused(url)) == text


def test_a_backend_without_options_says_so() -> None:
    assert refused("x://h?a=1", ()).hint == "A x:// registry URL knows these options: none"


@pytest.mark.parametrize(
    "url", ["grpc://h:port", "grpc://h:99999", "grpc://h:-1", "grpc://[::1", "grpc://h:1:2", "grpc://a\u2100b"]
)
def test_a_host_or_port_that_cannot_be_read_is_said(url: str) -> None:
    assert "has a host or a port that cannot be read" in refused(url).message


@pytest.mark.parametrize("text", ["1_000", " 5", "5 ", "\u0665", "9" * 5000, "", "0x1", "1.0"])
def test_whole_numbers_are_plain_ones(text: str) -> None:
    assert "It takes a whole number" in str(refused(f"s3://r/b?retries={quote(text)}"))


@pytest.mark.parametrize("text", ["http://[", "//host", "host:80", "://host", "http:/host"])
def test_what_is_no_url_is_refused_where_one_is_due(text: str) -> None:
    assert "It takes a URL" in str(refused(f"s3://r/b?endpoint={quote(text)}"))


@pytest.mark.parametrize("url", ["s3://r/b\n", "s3://r/\tb", "s3://r/b\0", "s3://r/\udcff", "s3://r/b?artifact=a\nb"])
def test_control_characters_are_refused_and_not_printed(url: str) -> None:
    error = refused(url)
    assert "control character" in error.message
    assert error.message.isascii()
    assert error.message.isprintable()


# -------------------------------------------------------------------------------------------------------------- no secrets

SECRET = "hunter-2-hunter"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@host:1/0",
        f"redis://:{SECRET}@host/0",
        f"https://{SECRET}@host/0",
        f"redis://u:a@{SECRET}@host/0",
        f"s3://r/b?token={SECRET}",
        f"s3://r/b?TOKEN={SECRET}",
        f"s3://r/b?to%6Ben={SECRET}",
        f"s3://r/b?endpoint=http://u:{SECRET}@h:1&artifact=a",
        f"s3://r/b?endpoint=http%3A%2F%2Fu%3A{SECRET}%40h",
    ],
)
def test_a_secret_is_shown_nowhere(url: str) -> None:
    parsed = parse(url)
    assert SECRET not in str(parsed)
    assert SECRET not in repr(parsed)
    assert HIDDEN in str(parsed)
    assert SECRET not in redact_url(url)
    assert SECRET not in redact_url(url, None)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@host:port/0",
        f"redis://:{SECRET}@host:99999/0",
        f"redis://:a/{SECRET}@host/0",
        f"redis://:12/{SECRET}@host:x/0",
        f"redis://:{SECRET}/{SECRET}@host/0",
        f"redis://user:a#{SECRET}@host/0",
        f"redis://user:a?{SECRET}@host/0",
        f"redis://:{SECRET}\u2100@host/0",
        f"redis://:{SECRET}[@host/0",
        f"redis://:{SECRET}\n@host/0",
        f"redis:/:{SECRET}@host/0",
        f"user:{SECRET}@host",
        f"host?token={SECRET}",
        f"1://host?token={SECRET}",
        f"s3://r/b?secret-token={SECRET}",
        f"s3://r/b?token={SECRET}&token={SECRET}",
        f"s3://r/b?token={SECRET}#{SECRET}",
        f"s3://r/b?token={SECRET}&retries=x",
        f"s3://:{SECRET}@r/b?ttl=x",
        f"s3://r/b?endpoint=u:{SECRET}@h",
        f"s3://r/b?retries=http://u:{SECRET}@h",
    ],
)
def test_a_secret_is_in_no_error(url: str) -> None:
    """Also where a special character was not encoded, or the option misspelt."""
    error = refused(url)
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert error.__cause__ is None
    assert SECRET not in redact_url(url)


def test_an_ill_typed_secret_is_not_shown() -> None:
    error = refused(f"x://h?pin={SECRET}", [Option("pin", "the pin", kind="integer", secret=True)])
    assert str(error) == "option 'pin' in the registry URL x://h?pin=*** is ***. It takes a whole number"


def test_secrets_are_told_as_written_and_decoded() -> None:
    assert set(parse("redis://:p%40ss@h?token=t%2Fk").secrets) == {"p@ss", "p%40ss", "t/k", "t%2Fk"}
    assert set(parse("s3://r/b?endpoint=http://u:pw%21@h").secrets) == {"pw!", "pw%21"}
    assert parse("s3://r/b?artifact=app.tar.gz").secrets == ()


def test_of_a_resources_own_query_only_what_may_be_a_signature_is_a_secret() -> None:
    """A short value (a version, say) would be replaced in every text."""
    assert set(parse("https://h/f?v=123&sig=abcdef123456", None).secrets) == {"abcdef123456"}


def test_what_is_no_secret_is_shown() -> None:
    assert redact_url("s3://r/b?endpoint=http://h:1&no-tls=true", OPTIONS) == "s3://r/b?endpoint=http://h:1&no-tls=true"
    assert redact_url("ghr://owner/repo/tag/tool@1.0/a.tgz") == "ghr://owner/repo/tag/tool@1.0/a.tgz"
    assert redact_url("redis://user:x@[::1]:1/0") == "redis://user:***@[::1]:1/0"


# --------------------------------------------------------------------------------------------------------- for every input

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\t"), max_size=12)
_piece = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["://", "s3://", "@", ":", "/", "?", "#", "&", "=", "%", "%00", "[", "]", "token=", "endpoint=http://", "\0"]
    ),
)


@given(st.lists(_piece, max_size=12).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but a UsageError, and the redaction never raises."""
    redact_url(text)
    redact_url(text, None)
    for options in (OPTIONS, (), None):
        with contextlib.suppress(UsageError):
            assert parse(text, options).scheme == scheme_of(text)


@given(_text, _text, _text, st.one_of(st.none(), st.integers(0, 65535)))
def test_what_is_encoded_is_read_back(user: str, password: str, path: str, port: int | None) -> None:
    authority = f"{quote(user, safe='')}:{quote(password, safe='')}@host{'' if port is None else f':{port}'}"
    parsed = parse(f"s3://{authority}/{quote(path)}?artifact={quote(path, safe='')}")
    assert (parsed.username, parsed.password, parsed.host, parsed.port) == (user, password, "host", port)
    assert parsed.path == f"/{path}"
    assert (parsed.text("artifact") or "") == path


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=12),
    st.lists(_piece, max_size=5).map("".join),
)
def test_a_password_is_never_shown(secret: str, rest: str) -> None:
    """Whatever follows the host, and whether the URL is right or wrong."""
    assume(secret not in rest and secret.lower() not in "s3://user:***@host")
    url = f"s3://user:{secret}@host/{rest}"
    shown = [redact_url(url), redact_url(url, OPTIONS), redact_url(url, None)]
    try:
        parsed = parse(url)
        shown += [str(parsed), repr(parsed)]
    except UsageError as error:
        shown += [str(error), repr(error)]
    assert not any(secret in text for text in shown)


@given(_text.filter(bool))
def test_a_secret_option_is_never_shown(secret: str) -> None:
    value = quote(secret * 4, safe="")
    parsed = parse(f"s3://r/b?token={value}")
    assert parsed.text("token") == secret * 4
    assert value not in str(parsed) + repr(parsed)
    assert {secret * 4, value} == set(parsed.secrets)


def test_an_address_in_an_option_is_shown_and_what_is_no_letter_stays_encoded() -> None:
    """Each URL is one line of a log, whatever somebody has put into it."""
    options = (Option("from", "a sender"), Option("endpoint", "a server"))
    assert str(parse_url("mail://h/x?from=dewy@example.com", options)) == "mail://h/x?from=dewy@example.com"
    for hostile in ("from=a@b%0aBcc:x", "endpoint=http://u:secret@h%0a", "from=u:secret@h%0d%0ax"):
        shown = str(parse_url(f"mail://h/x?{hostile}", options))
        assert shown.isprintable()
        assert "secret" not in shown
