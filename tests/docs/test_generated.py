"""The pages that are made from the code are what the code says."""

from __future__ import annotations

import pytest

import generate_docs
from dewy.events import EVENTS
from documents import ROOT


@pytest.mark.parametrize("name", generate_docs.PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    page = ROOT / "docs" / name
    assert page.is_file(), "run: python tools/generate_docs.py"
    assert page.read_text(encoding="utf-8") == generate_docs.PAGES[name](), "run: python tools/generate_docs.py"


def test_a_page_that_differs_or_is_missing_is_out_of_date(tmp_path) -> None:
    assert generate_docs.out_of_date(tmp_path) == ["cli.md", "events.md"]
    generate_docs.write(tmp_path)
    assert generate_docs.out_of_date(tmp_path) == []
    with (tmp_path / "events.md").open("a") as page:
        page.write("An event that there is not.\n")
    assert generate_docs.out_of_date(tmp_path) == ["events.md"]


def test_the_page_of_events_has_every_event_with_its_fields() -> None:
    rows = [line for line in generate_docs.events_page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(EVENTS)
    for row, kind in zip(rows, EVENTS.values(), strict=True):
        assert all(f"`{field}`" in row for field in (*kind.more, *kind.optional))


def test_the_reference_has_every_option_with_its_environment_variable() -> None:
    page = generate_docs.cli_page()
    for command in ("dewy server", "dewy assets", "dewy check", "dewy demo", "dewy plugins list"):
        assert f" {command}\n" in page
    row = next(line for line in page.splitlines() if line.startswith("| `--registry"))
    assert "`DEWY_REGISTRY`" in row
