"""As whom GitHub is asked: tokens, apps, nobody."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import weakref
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dewy.errors import RegistryError, UsageError
from dewy.testing import TestContext
from dewy_registry_ghr.access import Access
from dewy_registry_ghr.location import RepositoryName
from dewy_registry_ghr.repository import Repository
from ghr_client import ClockedContext, catalog_of, downloaded, tags_of
from ghr_github import TOKEN, AppKey, GitHub
from ghr_wire import of_json

API = "https://api.github.com"


# --------------------------------------------------------------------------------------------------------------- environment


@pytest.mark.parametrize(
    ("environ", "token", "source"),
    [
        ({"GH_TOKEN": "token-a", "GITHUB_TOKEN": "token-b"}, "token-a", "the token in GH_TOKEN"),
        ({"GH_TOKEN": " ", "GITHUB_TOKEN": "token-b\n"}, "token-b", "the token in GITHUB_TOKEN"),
        ({"GITHUB_TOKEN": "token-b", "GITHUB_APP_ID": "1"}, "token-b", "the token in GITHUB_TOKEN"),
        ({}, "", ""),
    ],
)
def test_token_order(environ: dict[str, str], token: str, source: str) -> None:
    access = Access.from_environ(environ)
    assert (access.token, access.source, access.is_anonymous) == (token, source, not token)
    assert "token-" not in repr(access)


def test_whole_app_comes_before_a_token() -> None:
    environ = {"GITHUB_APP_ID": "1", "GITHUB_APP_INSTALLATION_ID": "2", "GITHUB_APP_PRIVATE_KEY": "a\\nb", "GH_TOKEN": "t"}
    access = Access.from_environ(environ)
    assert access.app
    assert (access.app.id, access.app.installation, access.app.key, access.token) == ("1", "2", "a\nb", "")
    assert "a\\nb" not in repr(access)


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, API),
        ({"GITHUB_API_URL": "https://ghe.example.com/api/v3/", "GITHUB_ENDPOINT": "x"}, "https://ghe.example.com/api/v3"),
        ({"GITHUB_API_URL": "", "GITHUB_ENDPOINT": "http://127.0.0.1:80"}, "http://127.0.0.1:80"),
    ],
)
def test_address_order(environ: dict[str, str], address: str) -> None:
    assert Access.from_environ(environ).api == address


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"GITHUB_API_URL": "ghe.example.com"}, "GITHUB_API_URL is 'ghe.example.com', which is not the address.*/api/v3"),
        ({"GITHUB_ENDPOINT": "https://h:99999/"}, "GITHUB_ENDPOINT is"),
        ({"GITHUB_ENDPOINT": "https://h/?a=b"}, "GITHUB_ENDPOINT is"),
        ({"GITHUB_API_URL": "https://me:secret@h"}, "has a user name or password"),
        (
            {"GITHUB_APP_ID": "1"},
            "incomplete: GITHUB_APP_INSTALLATION_ID and GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIV.* not set",
        ),
        ({"GITHUB_APP_PRIVATE_KEY_PATH": "/k"}, "incomplete: GITHUB_APP_ID and GITHUB_APP_INSTALLATION_ID not set"),
    ],
)
def test_wrong_environment_is_refused(environ: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        Access.from_environ(environ)
    assert "secret" not in str(raised.value)


# ---------------------------------------------------------------------------------------------------------------- no token


def test_public_repository_needs_no_token_but_warns_once(
    github: GitHub, context: TestContext, caplog: pytest.LogCaptureFixture
) -> None:
    github.private = False
    github.publish("v1.0.0", {"app": b"bytes"})
    context.environ = {"GITHUB_API_URL": github.api}
    catalog = catalog_of(github.url, context)
    for _ in range(3):
        assert tags_of(catalog) == {"v1.0.0"}
    assert downloaded(f"{github.url}/tag/v1.0.0/app", context)[0] == b"bytes"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "is asked without a token" in warnings[0].getMessage()
    assert "Set GH_TOKEN" in warnings[0].getMessage()
    assert all("authorization" not in request.headers for request, _ in github.seen)


def test_token_is_kept_secret(github: GitHub, context: TestContext) -> None:
    catalog_of(github.url, context)
    assert context.secrets == [TOKEN]


def test_what_is_learnt_is_shared_with_whoever_asks_the_same_and_kept_no_longer(github: GitHub, tmp_path: Path) -> None:
    """A dewy that runs for months opens an artifact per deployment: nothing may pile up, nothing cross over."""
    name = RepositoryName("example", "myapp")
    with ClockedContext(tmp_path, github.environ) as context, ClockedContext(tmp_path, github.environ) as other:
        repository = Repository.shared(name, context)
        assert Repository.shared(name, context) is repository
        assert Repository.shared(name, other) is not repository, "another dewy's HTTP client"
        assert Repository.shared(RepositoryName("example", "other"), context) is not repository
        context.environ["GH_TOKEN"] = "ghp_another"
        assert Repository.shared(name, context) is not repository, "other credentials"
        gone = weakref.ref(repository)
        del repository
        gc.collect()
        assert gone() is None


# -------------------------------------------------------------------------------------------------------------------- apps


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def pem(key: rsa.RSAPrivateKey, github: GitHub, context: TestContext) -> str:
    """The private key of an app that is installed at the GitHub, as which dewy then asks."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    github.app = AppKey(public.decode())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    context.environ = {
        "GITHUB_API_URL": github.api,
        "GITHUB_APP_ID": github.app.id,
        "GITHUB_APP_INSTALLATION_ID": github.app.installation,
        "GITHUB_APP_PRIVATE_KEY": pem.replace("\n", "\\n"),
    }
    github.publish("v1.0.0", {"app": b"bytes"})
    return pem


def minted(github: GitHub) -> int:
    return sum("access_tokens" in request for request in github.requests())


def test_app_polls_and_downloads_with_one_token(github: GitHub, context: TestContext, pem: str) -> None:
    """Made once, used by registry and artifact alike; nothing of it may be shown."""
    catalog = catalog_of(github.url, context)
    for _ in range(3):
        assert tags_of(catalog) == {"v1.0.0"}
    assert downloaded(f"{github.url}/tag/v1.0.0/app", context)[0] == b"bytes"
    catalog.attach(next(iter(catalog.versions())), "note.txt", "x")
    assert minted(github) == 1
    assert github.app
    assert set(github.app.issued) < set(context.secrets)
    assert any(pem in secret for secret in context.secrets)


def test_app_key_from_a_file(github: GitHub, context: TestContext, pem: str, tmp_path: Path) -> None:
    """Read when it is needed: it may come later, or be exchanged."""
    path = tmp_path / "key.pem"
    del context.environ["GITHUB_APP_PRIVATE_KEY"]
    context.environ["GITHUB_APP_PRIVATE_KEY_PATH"] = str(path)
    catalog = catalog_of(github.url, context)
    with pytest.raises(RegistryError, match=r"private key cannot be read: No such file.*key\.pem"):
        catalog.versions()
    path.write_text(pem)
    assert tags_of(catalog) == {"v1.0.0"}


def test_app_token_is_renewed_before_it_expires(github: GitHub, context: TestContext, pem: str) -> None:
    """One that has less than five minutes left is not used for the next poll; its successor is."""
    assert github.app
    github.app.lifetime = timedelta(minutes=4)
    catalog = catalog_of(github.url, context)
    catalog.versions()
    github.app.lifetime = timedelta(hours=1)
    catalog.versions()
    catalog.versions()
    assert minted(github) == 2
    assert 401 not in github.statuses()


def test_app_token_that_is_refused_is_made_anew(github: GitHub, context: TestContext, pem: str) -> None:
    """Revoked, say: the next poll works."""
    assert github.app
    catalog = catalog_of(github.url, context)
    catalog.versions()
    github.app.issued.clear()
    with pytest.raises(RegistryError, match=r"does not accept the GitHub App 123456 \(401\): Bad credentials"):
        catalog.versions()
    assert tags_of(catalog) == {"v1.0.0"}


def test_app_that_is_not_known_says_so(github: GitHub, context: TestContext, pem: str) -> None:
    context.environ["GITHUB_APP_ID"] = "654321"
    with pytest.raises(RegistryError) as raised:
        catalog_of(github.url, context).versions()
    assert "gives no token to the GitHub App 654321" in str(raised.value)
    assert "A JSON web token could not be decoded" in str(raised.value)
    assert "GITHUB_APP_INSTALLATION_ID" in raised.value.hint


@pytest.mark.parametrize("broken", ["no key at all", "-----BEGIN RSA PRIVATE KEY-----\nQUJD\n-----END RSA PRIVATE KEY-----"])
def test_broken_key_says_so_and_is_not_shown(github: GitHub, context: TestContext, pem: str, broken: str) -> None:
    context.environ["GITHUB_APP_PRIVATE_KEY"] = broken
    with pytest.raises(RegistryError, match="its private key cannot be used") as raised:
        catalog_of(github.url, context).versions()
    assert broken not in str(raised.value)
    assert not github.seen


@pytest.mark.parametrize("answer", [{"token": ""}, {"token": "t", "expires_at": "soon"}, {"token": "t"}, []])
def test_answer_without_a_token_is_told(github: GitHub, context: TestContext, pem: str, answer: object) -> None:
    github.fail("access_tokens", of_json(answer, 201))
    with pytest.raises(RegistryError, match="gives no token to the GitHub App 123456: the answer has none"):
        catalog_of(github.url, context).versions()


def test_signing_is_imported_only_for_an_app() -> None:
    """Polls with a token load no cryptography of Python's own (R92)."""
    code = (
        "import sys, dewy_registry_ghr.catalog, dewy_registry_ghr.artifact, dewy_registry_ghr.repository;"
        "sys.exit(any(name in sys.modules for name in ('jwt', 'cryptography')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
