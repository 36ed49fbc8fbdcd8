"""Who may connect, and stay: tokens are looked at in sets, never one by one.

A signature was judged before (`connected.py`). Here PostgreSQL says whether the bearer may still act, once for those
that came in the last moments, and again every CHECK_SECONDS for all that are connected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Final

import redis
from django.db import Error as DatabaseError
from rest_framework.exceptions import APIException

from accounts import tokens
from accounts.errors import Refusal
from accounts.identity import Caller
from brokerage import errors
from brokerage.errors import UNREACHABLE, Told
from brokerage.stream import asking, reasons
from brokerage.stream.asking import Asked, Wanted
from brokerage.stream.connected import Connection, Phase
from brokerage.stream.hub import Hub
from brokerage.stream.threads import Threads

CHECK_SECONDS: Final = 2.0
GATHER_SECONDS: Final = 0.02  # for others that come meanwhile
AT_ONCE: Final = 500

Verdict = Told | tuple[Caller, Wanted]


class Admission:
    def __init__(self, hub: Hub, telling: asyncio.Lock) -> None:
        self._hub = hub
        self._telling = telling
        self._threads = Threads("tokens")

    async def admit(self) -> None:
        """For ever: judge who has asked."""
        while True:
            await self._hub.is_asked.wait()
            await asyncio.sleep(GATHER_SECONDS)
            asked, self._hub.asking = self._hub.asking[:AT_ONCE], self._hub.asking[AT_ONCE:]
            if not self._hub.asking:
                self._hub.is_asked.clear()
            await self._judge([one for one in asked if one[0].phase is not Phase.ENDED])

    async def _judge(self, asked: Sequence[tuple[Connection, Asked]]) -> None:
        claimed = [(one.claims, said) for one, said in asked if one.claims is not None]
        try:
            verdicts = await self._threads.ask(lambda: _verdicts(claimed))
        except (DatabaseError, redis.RedisError):
            verdicts = [UNREACHABLE for _ in asked]
        async with self._telling:
            for (one, _), verdict in zip(asked, verdicts, strict=True):
                if isinstance(verdict, Told):
                    one.end(verdict)
                else:
                    self._hub.admit(one, *verdict, is_new=one.phase is not Phase.OPEN)

    async def check(self) -> None:
        """For ever: end who may not act any more, or not as when they came. While PostgreSQL is away nobody is told
        anything that is theirs, and tokens expire all the same (`Hub.every_second`)."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            claimed = self._hub.claimed()
            while some := dict(islice(claimed, AT_ONCE)):
                try:
                    callers = await self._threads.ask(lambda some=some: tokens.callers_of(some.keys()))  # type: ignore[misc]
                except DatabaseError:
                    break
                for claims, those in some.items():
                    for one in those:
                        now = callers.get(claims)
                        if now != one.caller:
                            one.end(reasons.SCOPES if now else reasons.BAD_TOKEN)


def _verdicts(claimed: Sequence[tuple[tokens.Claims, Asked]]) -> list[Verdict]:
    callers = tokens.callers_of({claims for claims, _ in claimed})
    return [_verdict(callers.get(claims), asked) for claims, asked in claimed]


def _verdict(caller: Caller | None, asked: Asked) -> Verdict:
    if caller is None:
        return reasons.BAD_TOKEN
    try:
        return caller, asking.wanted(caller, asked)
    except asking.Refused as refused:
        return refused.told
    except (Refusal, APIException) as refusal:
        return errors.told(refusal) or errors.BUG
