"""The README is short, leads on, and its commands are the ones that CI runs."""

from __future__ import annotations

import re

from tests.docs.test_pages import CHECKOUT, PAGES

README = (CHECKOUT / "README.md").read_text()
RUNBOOKS = (CHECKOUT / "docs" / "runbooks" / "README.md").read_text()
MAKEFILE = (CHECKOUT / "Makefile").read_text()
CI = (CHECKOUT / ".ci" / "run").read_text()


def test_the_readme_fits_on_two_screens_and_ends_in_links() -> None:
    lines = README.splitlines()

    assert len(lines) <= 120
    assert "](" in lines[-1]


def test_every_page_can_be_reached_from_the_readme_at_once_or_by_an_index_that_is() -> None:
    targets = set(re.findall(r"\]\(([^)#\s]+)", README))

    missing = [str(page) for page in PAGES if str(page) not in targets | {"README.md"}]

    runbooks = {f"docs/runbooks/{page}" for page in re.findall(r"\]\(([\w-]+\.md)\)", RUNBOOKS)}
    assert [page for page in missing if not page.startswith("docs/decisions/0") and page not in runbooks] == []


def test_what_the_readme_calls_the_test_command_is_what_ci_runs() -> None:
    section = README.partition("\n## Test\n")[2]
    (whole, *_) = re.findall(r"^\$ (make test)\s", section, re.MULTILINE)

    assert f"\n{whole}\n" in CI
    # `make check` is the three that CI names one by one.
    (checks,) = re.findall(r"^check: (.+)$", MAKEFILE, re.MULTILINE)
    assert f"\nmake {checks}\n" in CI
    assert "$ make check" in section


def test_every_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
    for page in PAGES:
        text = (CHECKOUT / page).read_text()
        for said in re.findall(r"(?:`|^\$ (?:\w+=\S+ )*)make ([a-z][a-z-]*)", text, re.MULTILINE):
            assert said in targets, f"{page}: make {said}"
