"""Messages on their way: where they are posted, in which thread, and how the app gets into its channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dewy.errors import NotifierError
from dewy.testing.failures import check_sentence
from dewy_notifier_slack.notifier import _MOST_THREADS, SlackNotifier
from sample_messages import DONE, FAILED
from slack_server import Channel, Fault, SlackServer

Opens = Callable[..., SlackNotifier]

STARTED = replace(DONE, event="deployment.started", title="myapp on web1: deploying v1.4.0")
HOOK = replace(DONE, event="hook.done", title="myapp on web1: the before hook of v1.4.0 ended well")


# -------------------------------------------------------------------------------------------------------------- channels


@pytest.mark.parametrize("url", ["slack://deploys", "slack://%23deploys", "slack://C0000000001"])
def test_the_first_post_goes_straight_to_the_channel(slack: SlackServer, opens: Opens, url: str) -> None:
    opens(url).send(DONE)
    assert [method for method, _ in slack.requests] == ["chat.postMessage"]
    assert slack.posted[0].channel.name == "deploys"


def test_a_public_channel_is_joined_once_and_the_message_posted_again(slack: SlackServer, opens: Opens) -> None:
    slack.channels = [
        *(Channel(f"C1{n:09}", f"other-{n}") for n in range(5)),
        Channel("C0000000001", "deploys", joined=False),
    ]
    slack.page = 2
    notifier = opens()
    notifier.send(DONE)
    notifier.send(DONE)
    assert [method for method, _ in slack.requests] == [
        "chat.postMessage",
        *["conversations.list"] * 3,
        "conversations.join",
        "chat.postMessage",
        "chat.postMessage",
    ]
    assert len(slack.posted) == 2


def test_a_channel_named_by_its_id_is_joined_without_looking_it_up(slack: SlackServer, opens: Opens) -> None:
    slack.channels[0].joined = False
    slack.scopes.remove("channels:read")
    opens("slack://C0000000001").send(DONE)
    assert slack.called("conversations.list") == 0
    assert len(slack.posted) == 1


def test_an_id_is_looked_up_once_even_if_the_app_is_put_out_again(slack: SlackServer, opens: Opens) -> None:
    notifier = opens()
    for _ in range(3):
        slack.channels[0].joined = False
        notifier.send(DONE)
    assert (slack.called("conversations.list"), slack.called("conversations.join"), len(slack.posted)) == (1, 3, 3)


def test_joining_is_tried_once(slack: SlackServer, opens: Opens) -> None:
    slack.meets("chat.postMessage", *[Fault.error("not_in_channel")] * 5)
    with pytest.raises(NotifierError, match="not in the channel"):
        opens("slack://C0000000001").send(DONE)
    assert (slack.called("chat.postMessage"), slack.called("conversations.join")) == (2, 1)


def test_the_search_for_a_channel_has_an_end(slack: SlackServer, opens: Opens) -> None:
    slack.channels = [*(Channel(f"C1{n:09}", f"other-{n}") for n in range(50))]
    slack.page = 1
    slack.meets("chat.postMessage", Fault.error("not_in_channel"))
    with pytest.raises(NotifierError, match="finds no public channel of that name") as caught:
        opens().send(DONE)
    assert slack.called("conversations.list") == 20
    assert "/invite" in caught.value.hint
    assert caught.value.permanent


def test_without_the_scope_to_look_a_channel_up_the_error_names_the_ways_out(slack: SlackServer, opens: Opens) -> None:
    slack.channels[0].joined = False
    slack.scopes.remove("channels:read")
    with pytest.raises(NotifierError, match=r"#deploys.*lacks the scope channels:read") as caught:
        opens().send(DONE)
    for way in ("install the app", "/invite", "ID in the URL"):
        assert way in caught.value.hint
    check_sentence(caught.value)


def test_without_the_scope_to_join_the_error_names_it(slack: SlackServer, opens: Opens) -> None:
    slack.channels[0].joined = False
    slack.scopes.remove("channels:join")
    with pytest.raises(NotifierError, match="could not join it: the token lacks the scope channels:join"):
        opens().send(DONE)


def test_a_member_is_written_to_by_their_id(slack: SlackServer, opens: Opens) -> None:
    notifier = opens("slack://U0000000001")
    notifier.send(DONE)
    notifier.send(DONE)
    assert [posted.channel.id for posted in slack.posted] == ["D0000000001"] * 2


def test_an_archived_channel_is_said_to_be_one(slack: SlackServer, opens: Opens) -> None:
    slack.channels[0].archived = True
    with pytest.raises(NotifierError, match="#deploys: the channel is archived"):
        opens().send(DONE)
    assert [method for method, _ in slack.requests] == ["chat.postMessage"]


def test_nobody_joins_a_private_channel_uninvited(slack: SlackServer, opens: Opens) -> None:
    slack.channels[0].private, slack.channels[0].joined = True, False
    with pytest.raises(NotifierError, match="no such channel, or it is private"):
        opens().send(DONE)
    slack.channels[0].joined = True
    opens().send(DONE)
    assert len(slack.posted) == 1


# --------------------------------------------------------------------------------------------------------------- threads


def test_the_messages_of_one_deployment_are_replies_to_its_first(slack: SlackServer, opens: Opens) -> None:
    notifier = opens("slack://deploys?thread=true")
    for message in (STARTED, HOOK, FAILED, DONE):
        notifier.send(message)
    root = slack.posted[0].ts
    assert [(one.request.get("thread_ts"), one.request.get("reply_broadcast")) for one in slack.posted] == [
        (None, None),
        (root, False),
        (root, True),  # an error, which the channel sees too
        (root, True),  # the end of it, which the channel sees too
    ]


def test_each_deployment_has_a_thread_of_its_own_and_other_messages_none(slack: SlackServer, opens: Opens) -> None:
    notifier = opens("slack://deploys?thread=true")
    for deployment in ("one", "two", "", "one", "two", ""):
        notifier.send(replace(HOOK, deployment=deployment))
    one, two = slack.posted[0].ts, slack.posted[1].ts
    assert [posted.request.get("thread_ts") for posted in slack.posted] == [None, None, None, one, two, None]


def test_without_the_option_nothing_is_a_reply(slack: SlackServer, opens: Opens) -> None:
    notifier = opens()
    notifier.send(STARTED)
    notifier.send(FAILED)
    assert not any("thread_ts" in posted.request or "reply_broadcast" in posted.request for posted in slack.posted)


def test_a_first_message_that_was_not_taken_begins_no_thread(slack: SlackServer, opens: Opens) -> None:
    notifier = opens("slack://deploys?thread=true")
    slack.meets("chat.postMessage", Fault(status=500))
    with pytest.raises(NotifierError):
        notifier.send(STARTED)
    notifier.send(STARTED)
    notifier.send(HOOK)
    assert [one.request.get("thread_ts") for one in slack.posted] == [None, slack.posted[0].ts]


def test_a_thread_that_is_gone_is_begun_anew(slack: SlackServer, opens: Opens) -> None:
    notifier = opens("slack://deploys?thread=true")
    notifier.send(STARTED)
    slack.meets("chat.postMessage", Fault.error("thread_not_found"))
    notifier.send(HOOK)
    notifier.send(DONE)
    assert [one.request.get("thread_ts") for one in slack.posted[1:]] == [None, slack.posted[1].ts]
    assert "reply_broadcast" not in slack.posted[1].request


@pytest.mark.parametrize("code", ["cannot_reply_to_message", "restricted_action_thread_locked", "message_not_found"])
def test_a_thread_that_takes_no_reply_keeps_no_message_from_the_channel(slack: SlackServer, opens: Opens, code: str) -> None:
    notifier = opens("slack://deploys?thread=true")
    notifier.send(STARTED)
    slack.meets("chat.postMessage", Fault.error(code))
    notifier.send(FAILED)
    assert slack.posted[1].request.get("thread_ts") is None


def test_old_threads_are_forgotten(slack: SlackServer, opens: Opens) -> None:
    notifier = opens("slack://deploys?thread=true")
    for number in range(_MOST_THREADS + 1):
        notifier.send(replace(STARTED, deployment=str(number)))
    assert len(notifier._roots) == _MOST_THREADS
    notifier.send(replace(HOOK, deployment="1"))
    notifier.send(replace(HOOK, deployment="0"))
    assert [one.request.get("thread_ts") for one in slack.posted[-2:]] == [slack.posted[1].ts, None]


# ------------------------------------------------------------------------------------------------------------- other forms


@pytest.mark.parametrize("code", ["msg_too_long", "invalid_blocks", "invalid_attachments", "msg_blocks_too_long"])
def test_what_slack_does_not_take_in_full_arrives_as_text(slack: SlackServer, opens: Opens, code: str) -> None:
    slack.meets("chat.postMessage", Fault.error(code))
    opens().send(FAILED)
    (posted,) = slack.posted
    assert "attachments" not in posted.request
    for part in (FAILED.title, FAILED.text, "myapp on web1"):
        assert part in posted.shown


def test_the_remedies_have_an_end(slack: SlackServer, opens: Opens) -> None:
    slack.always = Fault.error("msg_too_long")
    with pytest.raises(NotifierError, match="too long for Slack"):
        opens().send(FAILED)
    assert len(slack.requests) == 2
