"""Every way in which GitHub refuses or fails, provoked: what the error says, and what is asked afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dewy.backoff import retry_after
from dewy.errors import RegistryError
from dewy.http import RateLimited
from dewy.testing import TestContext
from dewy.testing.failures import check_sentence
from dewy.types import ListedVersion
from ghr_client import ClockedContext, catalog_of, tags_of
from ghr_github import TOKEN, GitHub
from ghr_wire import Answer, of_json

SSO = "required; url=https://github.com/orgs/example/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


def refusal(github: GitHub, context: TestContext, answer: Answer, times: int = 99) -> RegistryError:
    """What a poll raises when GitHub answers so."""
    github.publish("v1.0.0", {"app": b"1"})
    github.fail("/releases", answer, times)
    with pytest.raises(RegistryError) as raised:
        catalog_of(github.url, context).versions()
    check_sentence(raised.value)
    assert TOKEN not in f"{raised.value!r} {raised.value.__cause__!r}"
    return raised.value


def says(error: RegistryError, *parts: str) -> None:
    for part in ("listing the releases of example/myapp failed: ", *parts):
        assert part in str(error)


def test_wrong_token(github: GitHub, context: TestContext) -> None:
    github.tokens.clear()
    with pytest.raises(RegistryError) as raised:
        catalog_of(github.url, context).versions()
    says(raised.value, "does not accept the token in GH_TOKEN (401): Bad credentials", "wrong, expired or revoked")
    assert github.statuses() == [401], "a wrong token was tried again"


def test_token_without_single_sign_on(github: GitHub, context: TestContext) -> None:
    answer = of_json({"message": "Resource protected by organization SAML enforcement."}, 403, X_GitHub_SSO=SSO)
    error = refusal(github, context, answer)
    says(error, "the organisation wants single sign-on, for which the token in GH_TOKEN is not authorised", "Configure SSO")
    assert "AZSCKt" not in str(error)


def test_token_without_the_permission(github: GitHub, context: TestContext) -> None:
    error = refusal(github, context, of_json({"message": "Resource not accessible by personal access token"}, 403))
    says(error, "refuses the token in GH_TOKEN for the repository example/myapp (403): Resource not", "permission Contents")


def test_repository_that_is_not_there_or_hidden(github: GitHub, context: TestContext) -> None:
    """GitHub answers 404 to both, so both are named."""
    with pytest.raises(RegistryError) as raised:
        catalog_of("ghr://example/typo", context).versions()
    assert "has no repository example/typo, or none that the token in GH_TOKEN may see (404)" in str(raised.value)
    assert "Check the name" in raised.value.hint
    assert "/api/v3" in raised.value.hint, "the address of an Enterprise Server may be what is wrong"


def test_private_repository_without_a_token(github: GitHub, context: TestContext) -> None:
    context.environ = {"GITHUB_API_URL": github.api}
    with pytest.raises(
        RegistryError, match=r"no repository example/myapp that is to be seen without a token \(404\).*GH_TOKEN"
    ):
        catalog_of(github.url, context).versions()


def test_used_up_limit_is_obeyed(github: GitHub, context: TestContext) -> None:
    """Until the reset nothing is asked any more; the core hears for how long."""
    github.publish("v1.0.0", {"app": b"1"})
    catalog = catalog_of(github.url, context)
    github.remaining, github.limit_reset = 0, time.time() + 1800
    with pytest.raises(RegistryError) as raised:
        catalog.versions()
    says(raised.value, "wants to be left alone for", "API rate limit exceeded for user ID 1")
    assert 1700 < retry_after(raised.value) <= 1800
    assert len(github.seen) == 1
    with pytest.raises(RegistryError, match="is not asked: it wants to be left alone") as raised:
        catalog.versions()
    assert 1700 < retry_after(raised.value) <= 1800
    assert len(github.seen) == 1


def test_last_point_of_the_limit_still_answers(github: GitHub, context: TestContext) -> None:
    """The answer that uses up the limit counts; the next poll is not sent."""
    github.publish("v1.0.0", {"app": b"1"})
    github.remaining = 1
    catalog = catalog_of(github.url, context)
    assert tags_of(catalog) == {"v1.0.0"}
    with pytest.raises(RegistryError, match="is not asked"):
        catalog.versions()
    assert github.statuses() == [200]


def test_used_up_limit_without_a_token_names_the_cure(github: GitHub, context: TestContext) -> None:
    github.private, github.remaining = False, 0
    context.environ = {"GITHUB_API_URL": github.api}
    with pytest.raises(RegistryError, match="Set GH_TOKEN: with a token it is 5,000 requests an hour"):
        catalog_of(github.url, context).versions()


@pytest.mark.parametrize("status", [403, 429])
def test_secondary_limit_with_a_time(github: GitHub, context: TestContext, status: int) -> None:
    """A longer pause than a call waits for: the call fails, and the core hears of the pause."""
    error = refusal(github, context, of_json({"message": SECONDARY}, status, Retry_After="120"))
    says(error, "wants to be left alone for 2m", "secondary rate limit")
    assert retry_after(error) == pytest.approx(120, abs=2)
    assert len(github.seen) == 1


def test_secondary_limit_with_a_short_time_is_waited_for(github: GitHub, tmp_path: Path) -> None:
    github.publish("v1.0.0", {"app": b"1"})
    github.fail("/releases", of_json({"message": SECONDARY}, 429, Retry_After="1"))
    with ClockedContext(tmp_path, github.environ) as context:
        assert tags_of(catalog_of(github.url, context)) == {"v1.0.0"}
        assert len(context.clock.waits) == 1
        assert context.clock.waits[0] >= 1


def test_secondary_limit_without_a_time(github: GitHub, context: TestContext) -> None:
    """Only the words say so; GitHub's documentation asks for at least a minute then."""
    error = refusal(github, context, of_json({"message": SECONDARY}, 403))
    says(error, "wants fewer requests (403): You have exceeded a secondary rate limit", "Poll less often")
    assert retry_after(error) == 60
    assert isinstance(error.__cause__, RateLimited)
    assert len(github.seen) == 1


def test_server_error_is_tried_again_at_once(github: GitHub, context: TestContext) -> None:
    github.publish("v1.0.0", {"app": b"1"})
    github.fail("/releases", of_json({"message": "Server Error"}, 502), times=3)
    assert tags_of(catalog_of(github.url, context)) == {"v1.0.0"}
    assert github.statuses() == [502, 502, 502, 200]


def test_server_error_that_stays(github: GitHub, context: TestContext) -> None:
    error = refusal(github, context, of_json({"message": "Server Error"}, 500))
    says(error, "fails with 500", "Server Error", "fault is on its side")
    assert len(github.seen) == 4


def test_half_an_answer_is_none(github: GitHub, context: TestContext) -> None:
    """The connection breaks off in the middle of the list."""
    body = json.dumps([{"tag_name": "v0.9.0", "assets": []}] * 40).encode()
    error = refusal(github, context, Answer(200, body, {"Content-Type": "application/json"}, cut=100))
    says(error, "broke off in the middle")
    github.faults.clear()
    github.fail("/releases", Answer(200, body, cut=100))
    assert tags_of(catalog_of(github.url, context)) == {"v1.0.0"}


def test_silence_ends(github: GitHub, tmp_path: Path) -> None:
    """A GitHub that takes the request and says nothing."""
    with ClockedContext(tmp_path, github.environ, silence=0.3, total=3.0) as context:
        started = time.monotonic()
        error = refusal(github, context, Answer(hang=True))
        assert time.monotonic() - started < 10
    says(error, "0.3s")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"}), "is not the JSON it should be"),
        (Answer(200, b""), "is not the JSON it should be"),
        (Answer(200, b"[" * 100_000), "is not the JSON it should be"),
        (of_json({"releases": []}), "it is no list"),
        (of_json([{"tag_name": None, "assets": []}]), "a release has no tag or no assets"),
        (of_json([{"tag_name": "v1.0.0", "assets": [{"name": "app"}]}]), "an asset has no id, name, url or state"),
        (of_json([[], 1, None]), "a release has no tag or no assets"),
    ],
)
def test_what_is_no_list_of_releases_is_an_error(github: GitHub, context: TestContext, answer: Answer, why: str) -> None:
    """A proxy's page never counts as "nothing released"."""
    says(refusal(github, context, answer), why)


def test_next_page_elsewhere_is_not_followed(github: GitHub, context: TestContext) -> None:
    """The token would be sent to whoever the answer names."""
    error = refusal(github, context, of_json([], Link='<http://127.0.0.9:1/releases?page=2>; rel="next"'))
    says(error, "names a next page on another host")


def test_nobody_there(context: TestContext) -> None:
    context.environ = {"GH_TOKEN": TOKEN, "GITHUB_API_URL": "http://127.0.0.1:1"}
    with pytest.raises(RegistryError, match=r"listing the releases of example/myapp failed: .*127\.0\.0\.1"):
        catalog_of("ghr://example/myapp", context).versions()


def test_release_that_is_gone(github: GitHub, context: TestContext) -> None:
    with pytest.raises(RegistryError, match=r"looking up the release v9 of example/myapp failed: .* has no release v9"):
        catalog_of(github.url, context).files(ListedVersion("v9"))
