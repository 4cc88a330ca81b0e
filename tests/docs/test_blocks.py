"""The code blocks of the documentation are what they say: they parse, and the commands in them exist."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import tomllib
from collections.abc import Iterator

import click
import pytest

from dewy.cli import cli
from documents import Block, Page, commands, pages

PARSERS = {"python": ast.parse, "json": json.loads, "toml": tomllib.loads}
SHELL = {"sh", "bash", "console", "shell"}
BLOCKS = [pytest.param(page, block, id=f"{page}:{block.line}") for page in pages() for block in page.blocks]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_every_fenced_block_names_its_language(page: Page, block: Block) -> None:
    assert block.language, f"{page}, line {block.line}: say which language this is (text, if it is none)"


@pytest.mark.parametrize(("page", "block"), [each for each in BLOCKS if each.values[1].language in PARSERS])
def test_every_block_of_python_json_and_toml_parses(page: Page, block: Block) -> None:
    PARSERS[block.language](block.text)


@pytest.mark.parametrize(("page", "block"), [each for each in BLOCKS if each.values[1].language in SHELL - {"console"}])
def test_every_block_of_shell_parses(page: Page, block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert not done.stderr, f"{page}, line {block.line}: {done.stderr}"


@pytest.mark.parametrize(("page", "block"), [each for each in BLOCKS if each.values[1].language in SHELL | {"ini"}])
def test_every_dewy_command_in_the_documentation_exists_and_knows_its_options(page: Page, block: Block) -> None:
    wrong = [f"{line}: {problem}" for line in commands(block.text) for problem in problems(line)]
    assert not wrong, f"{page}, line {block.line}:\n" + "\n".join(wrong)


def test_a_wrong_command_would_be_found() -> None:
    assert list(problems("dewy plugins list --json -h")) == []
    assert (
        list(problems("cd x && DEWY_LOG_LEVEL=info .venv/bin/dewy server --registry file:///x -p 8000 -- ./app --no-such"))
        == []
    )
    assert list(problems("ExecStart=/opt/dewy/bin/dewy server --no-such=1 -- ./app")) == ["no option --no-such"]
    assert list(problems("dewy no-such-command")) == ["no command no-such-command"]


def problems(line: str) -> Iterator[str]:
    """What is wrong with the dewy commands of one line of shell, or of a unit file."""
    if line.startswith("["):
        return  # a heading of a unit file
    words = shlex.split(line.removeprefix("ExecStart="), comments=True)
    if words[:2] == ["pip", "install"]:
        return  # dewy is a distribution there
    while words:
        word, *words = words
        if word == "dewy" or word.endswith("/bin/dewy"):
            yield from _unknown(cli, words)


def _unknown(command: click.Command, words: list[str], parent: click.Context | None = None) -> Iterator[str]:
    """The options and commands that do not exist, up to where another program's words begin."""
    with click.Context(command, parent, **command.context_settings) as context:
        known = {name for option in command.get_params(context) for name in (*option.opts, *option.secondary_opts)}
        for number, word in enumerate(words):
            if word in {"--", "&&", "||", "|", ";", ">", "&"}:
                return
            if word.startswith("-") and word.partition("=")[0] not in known:
                yield f"no option {word.partition('=')[0]}"
            if not word.startswith("-") and isinstance(command, click.Group):
                below = command.get_command(context, word)
                yield from [f"no command {word}"] if below is None else _unknown(below, words[number + 1 :], context)
                return
