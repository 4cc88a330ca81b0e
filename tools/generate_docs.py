"""Writes the pages of the documentation that are made from the code: docs/cli.md and docs/events.md.

    python tools/generate_docs.py            writes them
    python tools/generate_docs.py --check    says which ones are out of date; status 1 if there is one

A test of the documentation holds them to the code, so they cannot drift.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from string import Formatter

import click

from dewy.cli import cli
from dewy.events import EVENTS, EventKind

__all__ = ["PAGES", "cli_page", "events_page", "out_of_date", "write"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Made by tools/generate_docs.py from the code. Change it there. -->"


def cli_page() -> str:
    """The reference of the command line: every command with its arguments and options."""
    context = _context(cli, "dewy")
    asks_help = ", ".join(f"`{name}`" for name in context.help_option_names)
    return _page(["# Commands and options", NOTE, f"Every command knows {asks_help}.", *_command(cli, context)])


def events_page() -> str:
    """The catalogue of events."""
    return _page(
        [
            "# Events",
            NOTE,
            "Everything dewy says is one of these events, said once. The log has one line for each, notifiers tell people "
            "those that have a title, and plugins see them all through the `dewy_event` hook. Names and fields are part of "
            "the contract: fields are added, never renamed or removed.",
            "In a text, `{field}` stands for the field's value. All fields are always given, but for those in parentheses: "
            "they are given when they are known. What is said during a deployment also has `deployment`, the same for all "
            "of it, `previous_version`, and `cause`: who or what brought it about (`registry`, `operator NAME`, `SIGUSR1`, "
            "`start of dewy`). Those with a mark under history are kept in this host's journal.",
            _table(("event", "level", "text", "fields", "title", "history"), (_event(kind) for kind in EVENTS.values())),
        ]
    )


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "events.md": events_page}
"""The generated pages by their names, each with what makes it."""


def out_of_date(docs: Path = DOCS) -> list[str]:
    """The names of the pages that differ from what the code says, or are not there."""
    return [name for name, make in PAGES.items() if not _has(docs / name, make())]


def write(docs: Path = DOCS) -> None:
    """Writes every page."""
    docs.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (docs / name).write_text(make(), encoding="utf-8")


def _has(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _event(kind: EventKind) -> tuple[str, ...]:
    said = [name for _, name, _, _ in Formatter().parse(kind.text) if name]
    fields = [f"`{name}`" for name in dict.fromkeys((*said, *kind.more))] + [f"(`{name}`)" for name in kind.optional]
    return f"`{kind.name}`", kind.level, kind.text, " ".join(fields), kind.title, "✓" if kind.recorded else ""


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """The sections of a command and, after it, of its commands."""
    depth = context.command_path.count(" ")
    yield f"{'#' * min(depth + 2, 4)} {context.command_path}"
    yield f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```"
    if command.help:
        yield _prose(command.help)
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        yield _table(("option", "environment", "default", "what it does"), (_option(each, context) for each in options))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _command(below, _context(below, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, parent, name, **command.context_settings)


def _option(option: click.Option, context: click.Context) -> tuple[str, ...]:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    names = ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))
    variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
    text, _, told = (option.help or "").partition("[default: ")
    default = told.rstrip("]") or _default(option, context)
    required = " Required." if option.required else ""
    return names, ", ".join(f"`{name}`" for name in variables), default, text.strip() + required


def _default(option: click.Option, context: click.Context) -> str:
    """The default where the command shows it."""
    if isinstance(option.show_default, str):
        return option.show_default
    return f"`{option.get_default(context, call=False)}`" if option.show_default else ""


def _prose(text: str) -> str:
    """A command's help as Markdown: what click is told to keep as it is (a backspace first) is a block of its own."""
    paragraphs = inspect.cleandoc(text).split("\f")[0].split("\n\n")
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs)


def _paragraph(text: str) -> str:
    if text.startswith("\b\n"):
        return f"```text\n{inspect.cleandoc(text[2:])}\n```"
    return " ".join(text.split())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _page(sections: Iterable[str]) -> str:
    return "\n\n".join(section for section in sections if section) + "\n"


def main() -> int:
    """The command line; see the top of this file. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say which pages are out of date")
    if not parser.parse_args().check:
        write()
        return 0
    late = out_of_date()
    for name in late:
        print(f"docs/{name} is not what the code says: run python tools/generate_docs.py", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
