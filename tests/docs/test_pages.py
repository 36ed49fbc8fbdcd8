"""Whatever a page names - another page, a file, a heading - is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.candles import MEASURES

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(CHECKOUT)
    for path in [
        *CHECKOUT.glob("*.md"),
        *(CHECKOUT / "docs").rglob("*.md"),
        *(CHECKOUT / "benchmarks").glob("*.md"),
    ]
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`((?:accounts|quotes|trades|brokerage|tests|docs|benchmarks|templates)/[\w./-]*)`")
INDEX = CHECKOUT / "docs" / "decisions" / "README.md"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall((CHECKOUT / page).read_text()):
        if "://" not in target:
            path = CHECKOUT / page.parent / target if target else CHECKOUT / page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_two_headings_of_a_page_lead_to_the_same_place(page: Path) -> None:
    found = anchors(CHECKOUT / page)

    if page.name != "CHANGELOG.md":  # each version has the same headings
        assert sorted(found) == sorted(set(found))


def anchors(page: Path) -> list[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_files_and_folders_that_a_page_names_exist(page: Path) -> None:
    for named in NAMED.findall((CHECKOUT / page).read_text()):
        assert (CHECKOUT / named).exists(), named


def test_every_decision_is_listed_in_its_order_and_says_context_decision_and_consequences() -> None:
    decisions = sorted(path for path in INDEX.parent.glob("*.md") if path != INDEX)

    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", INDEX.read_text()) == [path.name for path in decisions]
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], path.name
        assert len(path.read_text().splitlines()) < 60, f"{path.name} is longer than a page"


def test_the_benchmarks_page_tells_every_measure_and_no_other() -> None:
    code = "".join(path.read_text() for path in (CHECKOUT / "benchmarks").glob("*.py"))
    measured = set(re.findall(r'Row\(\s*"(\w+)"', code))
    for name in re.findall(r'Row\(\s*f"(\w+)\{suffix\}"', code):
        measured |= {name, f"{name}_one_symbol"}
    for name in re.findall(r'Row\(\s*f"(\w+\{percent\}_\w+)"', code):
        measured |= {name.replace("{percent}", percent) for percent in ("50", "99")}
    measured |= set(re.findall(r'"(door_\w+)"', code))
    measured |= set(re.findall(r'_beside\(\s*"(\w+)"', code)) | set(MEASURES.values())

    table = (CHECKOUT / "benchmarks" / "README.md").read_text()
    told = {name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}

    assert told == measured
