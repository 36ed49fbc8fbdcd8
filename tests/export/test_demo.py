"""The demo's books, as another program sees them: everything real, from an empty data directory to bean-check."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.export.beancount_check import bean_check
from tests.stack.conftest import data, port, start
from tests.stack.running import Up

__all__ = ["data", "port", "start"]

MANAGE = (sys.executable, "manage.py")


@pytest.mark.timeout(600)
def test_bean_check_finds_nothing_wrong_in_the_demos_books(data: Path, port: int, start: Callable[..., Up]) -> None:
    up = start(*MANAGE, "up", "--port", str(port))
    up.says("ready after", 120)
    demo = start(*MANAGE, "demo")
    assert demo.ends(240) == 0, demo.log[-4000:]
    books = data / "books.beancount"
    export = start(*MANAGE, "export_ledger", "--output", str(books))
    assert export.ends() == 0, export.log

    assert bean_check(books) == (0, "")

    text = books.read_text()
    kinds = set(re.findall(r'^\d{4}-\d\d-\d\d \* "(\w+)"', text, re.MULTILINE))
    assert {"deposit", "order_margin", "order_profit", "trade_deliver", "trade_settled", "leg_settled"} <= kinds
    assert text.count(" balance ") == text.count(" open ")
    assert re.search(r"^\d{4}-\d\d-\d\d price BTC \d", text, re.MULTILINE)
