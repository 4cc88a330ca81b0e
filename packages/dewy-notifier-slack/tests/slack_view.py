"""Slack's side of a message: what it refuses, whom it would call, and what a person's client shows.

The limits are those of the reference of blocks, text objects and chat.postMessage on docs.slack.dev; that of all blocks
together is not in it, but people have met it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["complaints_about", "mentions", "shown"]

_COLOUR = re.compile(r"good|warning|danger|#[0-9a-fA-F]{6}")
_LINK = re.compile(r"<(https?://[^<>|]+)\|([^<>]*)>")
_MARKUP = re.compile(r"<[^<>]*>")
_ENTITY = re.compile(r"&(amp|lt|gt);")
_KNOWN = {
    "message": {"channel", "text", "attachments", "blocks", "mrkdwn", "parse", "link_names", "thread_ts"}
    | {"reply_broadcast", "unfurl_links", "unfurl_media"},
    "attachment": {"color", "fallback", "blocks"},
    "section": {"type", "text", "fields", "expand"},
    "context": {"type", "elements"},
}

Complaint = tuple[str, str]
"""Slack's word for what it does not take, and the detail."""


def complaints_about(message: Mapping[str, Any]) -> Iterator[Complaint]:
    """What Slack refuses about a message; and, as it is no less wrong, markup in it that is not a link of ours."""
    if unknown := set(message) - _KNOWN["message"]:
        yield "invalid_arguments", f"unknown: {sorted(unknown)}"
    if message.get("parse") == "full" or message.get("link_names"):
        yield "invalid_arguments", "looks for names in texts"
    text, attachments = message.get("text", ""), message.get("attachments", [])
    if not text.strip() and not attachments:
        yield "no_text", "nothing to show"
    if len(text) > 40_000:
        yield "msg_too_long", "text"
    for attachment in attachments:
        yield from _about_attachment(attachment)
    for part in _texts(message):
        yield from _about_markup(part)


def _about_attachment(attachment: Mapping[str, Any]) -> Iterator[Complaint]:
    if set(attachment) - _KNOWN["attachment"] or not _COLOUR.fullmatch(attachment.get("color", "good")):
        yield "invalid_attachments", f"attachment with {sorted(attachment)}"
    blocks = attachment.get("blocks", [])
    if not 1 <= len(blocks) <= 50:
        yield "invalid_blocks", "no more than 50 items allowed"
    for block in blocks:
        yield from _about_block(block)
    if sum(len(text) for block in blocks for text in _block_texts(block)) > 13_000:
        yield "msg_blocks_too_long", "blocks"


def _about_block(block: Mapping[str, Any]) -> Iterator[Complaint]:
    kind = block.get("type", "")
    if kind not in ("section", "context") or set(block) - _KNOWN[kind]:
        yield "invalid_blocks", f"block {kind} with {sorted(block)}"
    if kind == "section" and "text" not in block and "fields" not in block:
        yield "invalid_blocks", "a section has a text or fields"
    if "text" in block:
        yield from _about_texts([block["text"]], 3000)
    if "fields" in block:
        yield from _about_texts(block["fields"], 2000)
    if "elements" in block:
        yield from _about_texts(block["elements"], 3000)


def _about_texts(texts: Sequence[Mapping[str, Any]], size: int) -> Iterator[Complaint]:
    if not 1 <= len(texts) <= 10:
        yield "invalid_blocks", "no more than 10 items allowed"
    for text in texts:
        if text.get("type") != "mrkdwn" or text.get("verbatim") is not True or len(text) != 3:
            yield "invalid_blocks", f"text object with {sorted(text)}"
        if not 1 <= len(text["text"]) <= size:
            yield "invalid_blocks", f"must be between 1 and {size} characters: {len(text['text'])}"


def _about_markup(text: str) -> Iterator[Complaint]:
    rest = _LINK.sub("", text)
    if "<" in rest or ">" in rest:
        yield "invalid_arguments", f"markup in {text!r}"
    if "&" in _ENTITY.sub("", text):
        yield "invalid_arguments", f"an ampersand in {text!r}"
    if text.startswith("*Output*") and text.count("```") != 2:
        yield "invalid_arguments", f"not one block of code in {text!r}"


def _block_texts(block: Mapping[str, Any]) -> Iterator[str]:
    for text in ([block["text"]] if "text" in block else []) + block.get("fields", []) + block.get("elements", []):
        yield text["text"]


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a message in which Slack looks for markup."""
    yield message.get("text", "")
    for attachment in message.get("attachments", []):
        yield attachment.get("fallback", "")
        for block in attachment.get("blocks", []):
            yield from _block_texts(block)


def mentions(message: Mapping[str, Any]) -> list[str]:
    """Everybody and everything that a message would call or lead to, but for links of ours."""
    return [markup for text in _texts(message) for markup in _MARKUP.findall(_LINK.sub("", text))]


def shown(message: Mapping[str, Any]) -> str:
    """A message as it is read: links by their texts, characters unescaped, bold and code still marked."""
    texts = [message.get("text", "")]
    for attachment in message.get("attachments", []):
        for block in attachment.get("blocks", []):
            texts += _block_texts(block)
    return html.unescape(_LINK.sub(r"\2", "\n".join(texts)))
