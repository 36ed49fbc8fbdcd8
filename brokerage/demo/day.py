"""A day of bad prices: sources that fall silent or say nonsense, traded through and never at a bad price.

The recorded day (`recorded_day.md`) is played by a second feed, which takes over from the system's own as any standby
does. When it is stopped, the system's own takes over again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from brokerage.demo.client import DemoClient, UnexpectedAnswer
from brokerage.demo.recorded import DAY, HIGHEST, LOWEST, SYMBOL
from brokerage.demo.stories import Participants, sign_up
from brokerage.stack.places import open_log
from brokerage.stack.processes import MANAGE
from brokerage.stack.state import recorded_children
from brokerage.stack.where import CHECKOUT, data_dir

NO_PRICE: Final = f"Price data not found for symbol: {SYMBOL}"
PAUSE_SECONDS: Final = 0.1
OLD_MILLISECONDS: Final = 1500


def bad_prices(demo: DemoClient, who: Participants, meanwhile: Callable[[DemoClient, Participants], None]) -> None:
    """Story 6. `meanwhile` is told while prices grow old: it needs none."""
    demo.title("Story 6: a day of bad prices")
    feed = recorded_children(data_dir()).get("feed")
    if feed is None or not feed.alive():
        demo.say("The feed of this system isn't a process of this machine: left out.")
        meanwhile(demo, who)
        return
    token = sign_up(demo, "1000.00")
    with _standby(demo) as says:
        demo.say("A second feed stands by with a recorded day of three sources. The system's own feed is stopped.")
        feed.signal(signal.SIGTERM)
        demo.until("a feed that takes over", lambda: "running: " in says(), bool)
        held = _traded_through(demo, token, lambda: meanwhile(demo, who))
        demo.say("What that feed said of its sources:")
        for line in says().splitlines():
            if line.startswith("WARNING") and SYMBOL in line:
                demo.show(line)
    demo.say("That feed ends. The system's own has started again meanwhile, and takes over: prices are back.")
    prices = "/api/prices?symbol=" + SYMBOL
    demo.until("a fresh price", lambda: demo.call("GET", prices, who.firm, quietly=True), bool)
    for order in held:
        closed = demo.call("POST", "/api/v1/trade/close", token, {"orderId": order})["order"]
        demo.expect("closed at a good price", LOWEST <= closed["closePrice"] <= HIGHEST, True)


def _traded_through(demo: DemoClient, token: str, meanwhile: Callable[[], None]) -> list[str]:
    """Open and close until there is no price any more; gives what is still open: an order that is held on, and one that
    couldn't be closed, if there is one."""
    order = {"symbol": SYMBOL, "type": "buy", "quantity": 0.01, "leverage": 10}
    held = [str(demo.call("POST", "/api/v1/trade/create", token, order)["orderId"])]
    demo.say("One order is held. Others are opened and closed, again and again, until there is no price.")
    deals: list[dict[str, Any]] = []
    is_told = False
    while (made := _tried(demo, "/api/v1/trade/create", token, order)) is not None:
        if _tried(demo, "/api/v1/trade/close", token, {"orderId": made["orderId"]}) is None:
            held.append(str(made["orderId"]))
        path = f"/api/v1/trade/orders/{made['orderId']}/execution"
        deals += demo.call("GET", path, token, quietly=True)["deals"]
        if not is_told and deals[-1]["priceAgeMs"] > OLD_MILLISECONDS:
            is_told = True
            demo.say("The last price grows old: no two sources agree. It may be used for ten seconds. Meanwhile:")
            meanwhile()
        time.sleep(PAUSE_SECONDS)
    _looked_at(demo, deals)
    demo.say("Now it is too old, and nothing executes.")
    refused = demo.refused("POST", "/api/v1/trade/create", token, order, 400)
    demo.expect("opening", refused["error"], NO_PRICE)
    refused = demo.refused("POST", "/api/v1/trade/close", token, {"orderId": held[0]}, 400)
    demo.expect("closing", refused["error"], NO_PRICE)
    if not is_told:
        meanwhile()
    return held


def _tried(demo: DemoClient, path: str, token: str, body: dict[str, Any]) -> Any:
    """The answer; None where there is no price."""
    try:
        return demo.call("POST", path, token, body, quietly=True)
    except UnexpectedAnswer as refused:
        if NO_PRICE not in str(refused):
            raise
        return None


def _looked_at(demo: DemoClient, deals: list[dict[str, Any]]) -> None:
    """Which sources the deals' prices were made of, and that none was a bad one."""
    made_of = Counter(" and ".join(sorted(one["source"] for one in deal["sources"])) for deal in deals)
    for names, count in made_of.most_common():
        demo.show(f"{count} deals at a price of {names}")
    said = [side for deal in deals for side in (deal["bid"], deal["ask"])]
    demo.show(f"from {min(said)} to {max(said)}; a source alone said up to 22500")
    demo.expect("deals at a bad price", sum(not LOWEST <= side <= HIGHEST for side in said), 0)


@contextmanager
def _standby(demo: DemoClient) -> Iterator[Callable[[], str]]:
    """A feed that plays the recorded day once it publishes; gives what its log says."""
    log = data_dir() / "log" / "recorded_day.log"
    environ = os.environ | {"FEED_SOURCES": "replay", "REPLAY_FILE": str(DAY), "REPLAY_SPEED": "2"}
    with open_log(data_dir(), "recorded_day") as out:
        out.truncate(0)
        feed = subprocess.Popen(  # noqa: S603 - our own words
            [*MANAGE, "run_feed"], cwd=CHECKOUT, env=environ, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        demo.until("a feed on standby", log.read_text, lambda said: "standby: " in said)
        yield log.read_text
    finally:
        feed.send_signal(signal.SIGTERM)
        feed.wait(20)
