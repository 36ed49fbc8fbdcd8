"""Every term of the glossary is a word of the code, and what it points to is there."""

from __future__ import annotations

import re

from tests.docs.names import CHECKOUT, defined, is_there, product

PAGE = (CHECKOUT / "docs" / "glossary.md").read_text()
ROW = re.compile(r"^\| (?P<term>[^|]+) \| (?P<meaning>[^|]+) \| (?P<where>[^|]+) \|$", re.MULTILINE)
ROWS = [row.groupdict() for row in ROW.finditer(PAGE)][2:]


def words_of_the_code() -> str:
    """The product's Python in lower case, its CamelCase taken apart, so that a name reads like the words in it."""
    text = "\n".join((CHECKOUT / name).read_text() for name in product())
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()


def test_there_are_terms_one_line_each_and_sorted() -> None:
    terms = [row["term"] for row in ROWS]

    assert len(terms) > 50
    assert len(terms) == len([line for line in PAGE.splitlines() if line.startswith("|")]) - 2
    assert terms == sorted(set(terms), key=str.casefold)


def test_every_term_is_used_in_the_code() -> None:
    code = words_of_the_code()

    unused = [row["term"] for row in ROWS if not re.search(in_code(row["term"]), code)]

    assert unused == []


def in_code(term: str) -> str:
    words = r"[\s_-]?".join(re.escape(word) for word in re.split(r"[ -]", term.lower()))
    return rf"(?<![a-z]){words}s?(?![a-z])"


def test_where_a_term_lives_exists() -> None:
    commands = {path.stem for path in CHECKOUT.glob("*/management/commands/*.py")}
    missing = []
    for row in ROWS:
        places = re.findall(r"`([^`]+)`", row["where"])
        assert places, row["term"]
        for place in places:
            if not (place in defined() | commands if place.isidentifier() else is_there(place)):
                missing.append(f"{row['term']}: {place}")

    assert missing == []
