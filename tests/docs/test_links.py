"""No link of the documentation leads nowhere. Other sites are not asked: a test must not need them."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from documents import ROOT, Page, pages


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_link_within_the_tree_leads_to_a_file_and_a_heading(page: Page) -> None:
    broken = [
        link
        for link in page.links
        if "://" not in link and not link.startswith("mailto:") and not _leads_somewhere(page, link)
    ]
    assert not broken, f"{page} has links that lead nowhere: {', '.join(broken)}"


def test_a_broken_link_would_be_found(tmp_path) -> None:
    (tmp_path / "other.md").write_text("# A `heading`, twice\n\n# A heading, twice\n")
    page = Page(tmp_path / "page.md")
    page.path.write_text("# Here\n[a](other.md#a-heading-twice-1) [b](#here) [c]\n\n[c]: missing.md\n\n`[d](code.md)`\n")
    assert page.links == ["other.md#a-heading-twice-1", "#here", "missing.md"]
    assert [_leads_somewhere(page, link, tmp_path) for link in page.links] == [True, True, False]
    assert not _leads_somewhere(page, "other.md#a-heading-thrice", tmp_path)
    assert not _leads_somewhere(page, "../outside.md", tmp_path)


def _leads_somewhere(page: Page, link: str, root=ROOT) -> bool:
    name, _, anchor = unquote(link).partition("#")
    target = (page.path.parent / name).resolve() if name else page.path
    if not target.exists() or not target.is_relative_to(root):
        return False
    return not anchor or (target.suffix == ".md" and anchor in Page(target).anchors)
