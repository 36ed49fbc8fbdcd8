"""Questions to PostgreSQL and Redis, asked beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

_T = TypeVar("_T")


class Threads:
    """So many threads; each gives its database connection back after a question."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def ask(self, question: Callable[[], _T]) -> _T:
        """The answer, or what the question raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _asked, question)


def _asked(question: Callable[[], _T]) -> _T:
    try:
        return question()
    finally:
        connection.close()
