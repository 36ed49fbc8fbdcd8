"""PostgreSQL comes back as it was at a moment, beside a Redis that knows more, and beside an empty one."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from brokerage.stack.valkey import Valkey
from tests.backup.drill import BUY, KEYS_OF_ITS_OWN, LONGEST, Machine, new_home
from tests.stack.running import end, eventually

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.faults, pytest.mark.timeout(3600)]
STREAM = "orders:{0}"
UNKNOWN = {408, 503, 504}


@pytest.fixture
def home() -> Iterator[Path]:
    place = new_home()
    yield place
    for machine in place.iterdir():
        end(machine, ())
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def old_redis(home: Path) -> Iterator[Valkey]:
    """It outlives the machine that PostgreSQL was on."""
    (home / "redis").mkdir(mode=0o711)
    server = Valkey(home / "redis")
    server.start()
    yield server
    server.stop(2)


def buy(machine: Machine, token: str, key: str) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    answer = httpx.post(f"{machine.url}/api/v1/trade/create", json=BUY, headers=headers, timeout=60)
    return answer.status_code, answer.json()


def bought(machine: Machine, token: str, key: str) -> str:
    """The code of the order. Who was told that it isn't known yet asks again under the same key."""
    give_up = time.monotonic() + LONGEST
    while (answer := buy(machine, token, key))[0] in UNKNOWN and time.monotonic() < give_up:
        time.sleep(0.1)
    assert answer[0] == 200, answer
    return str(answer[1]["orderId"])


def wait_for_a_price(machine: Machine, token: str) -> None:
    """A refusal for want of one would be kept under its key."""
    wish = {"product_type": "trading", "symbol": "BTC-USD", "side": "buy", "deliver_amount": 100}
    headers = {"Authorization": f"Bearer {token}"}

    def has_one() -> bool:
        return httpx.post(f"{machine.url}/api/quotes", json=wish, headers=headers, timeout=60).status_code == 201

    assert eventually(has_one, LONGEST)


def orders(machine: Machine) -> set[str]:
    return {code for (code,) in machine.rows("SELECT code FROM trades_order")}


def restored(home: Path, name: str, first_keys: Path, settings: dict[str, str], *words: str) -> Machine:
    machine = Machine(home / name, settings)
    machine.data.mkdir(mode=0o711)
    shutil.copytree(first_keys, machine.data / "secrets")
    (machine.data / "secrets" / "seed.json").rename(machine.data / "seed.json")
    backup = next((home / "elsewhere").glob("*-base"))
    machine.done("restore", str(backup), *words)
    return machine


def test_nothing_is_doubled_beside_an_old_redis_nor_beside_an_empty_one(home: Path, old_redis: Valkey) -> None:
    """Guard: a command's deadline (`command_stream._entries`), and answers that stand in PostgreSQL.

    Order `a` is before the moment, `b` after it, and of `c` nobody was told: its command waits in Redis, no engine
    having read it.
    """
    settings = {**KEYS_OF_ITS_OWN, "BACKUP_DIR": str(home / "elsewhere"), "BACKUP_SYNCHRONOUS": "1"}
    beside = {**settings, "REDIS_URL": old_redis.url}
    first = Machine(home / "first", beside)
    first.start()
    assert first.up is not None
    first.up.says("WAL is archived", LONGEST)
    token = first.token()  # the keys come along, so it is good on every machine
    wait_for_a_price(first, token)
    shutil.copytree(first.data / "secrets", home / "keys")
    shutil.copy(first.data / "seed.json", home / "keys")
    first.done("backup", "base")
    a = bought(first, token, "a")
    ((moment,),) = first.rows("SELECT clock_timestamp()")  # not before a's COMMIT, and before b's
    b = bought(first, token, "b")
    client = redis.Redis.from_url(old_redis.url)
    assert eventually(lambda: client.xlen(STREAM) == 0, LONGEST)
    os.kill(first.up.child("engine"), signal.SIGSTOP)
    assert buy(first, token, "c")[0] in UNKNOWN
    first.destroy()
    assert client.xlen(STREAM) == 1

    second = restored(home, "second", home / "keys", beside, "--to", moment.isoformat())
    second.start()
    assert eventually(lambda: client.xlen(STREAM) == 0, LONGEST), "the engine has read what stood there"
    assert orders(second) == {a}, "what came too late is done by nobody"
    wait_for_a_price(second, token)
    again = {bought(second, token, "b"), bought(second, token, "c")}
    assert (
        {bought(second, token, "a"), bought(second, token, "b"), bought(second, token, "c")}
        == {a, *again}
        == orders(second)
    )
    second.done("audit_ledger", "--verify")
    second.stop()

    third = restored(home, "third", home / "keys", settings)
    third.start()
    wait_for_a_price(third, token)
    assert orders(third) == {a, b}
    assert bought(third, token, "b") == b
    c = bought(third, token, "c")
    assert bought(third, token, "c") == c
    assert orders(third) == {a, b, c}
    third.stop()

    refused = third.manage("restore", str(next((home / "elsewhere").glob("*-base"))))
    assert (refused.returncode, "isn't empty" in refused.stderr) == (3, True), refused.stderr
    fourth = Machine(home / "fourth", settings)
    fourth.data.mkdir(mode=0o711)
    backup = str(next((home / "elsewhere").glob("*-base")))
    early, late = fourth.manage("restore", backup, "--to", "2020-01-01T00:00Z"), "2100-01-01T00:00Z"
    assert (early.returncode, "take an earlier one" in early.stderr) == (3, True), early.stderr
    past = fourth.manage("restore", backup, "--to", late)
    assert (past.returncode, "ends before" in past.stderr) == (3, True), past.stderr
