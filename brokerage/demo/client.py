"""The demo's client: the system's own HTTP and commands, each call shown with its answer."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from accounts import json_codec
from brokerage.stack.processes import MANAGE

TIMEOUT_SECONDS = 20


class UnexpectedAnswer(Exception):
    """The system answered something that the story doesn't allow."""


class DemoClient:
    """Makes calls and shows them; `expect` notes what is not as it should be, and the story goes on."""

    def __init__(self, url: str, console: Console) -> None:
        self.url = url
        self.console = console
        self.wrong: list[str] = []
        self._http = httpx.Client(base_url=url, timeout=15)

    def title(self, text: str) -> None:
        self.console.rule(f"[bold]{escape(text)}")

    def say(self, text: str) -> None:
        self.console.print(f"\n[bold]{escape(text)}[/bold]")

    def show(self, line: str) -> None:
        self.console.print(f"  [dim]{escape(line)}[/dim]", highlight=False, soft_wrap=True)

    def call(self, method: str, path: str, token: str = "", body: Any = None, *, quietly: bool = False) -> Any:
        """Make one request and show it; gives the answer with exact numbers. Raises UnexpectedAnswer past 2xx."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self._http.request(method, path, headers=headers, json=body)
        said = json_codec.loads(answer.content) if answer.content else None
        if not quietly:
            self._show(method, path, body, answer.status_code, said)
        if not answer.is_success:
            raise UnexpectedAnswer(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return said

    def refused(self, method: str, path: str, token: str, body: Any, status: int) -> Any:
        """Make a request that must be refused with this status."""
        answer = self._http.request(method, path, headers={"Authorization": f"Bearer {token}"}, json=body)
        said = json_codec.loads(answer.content)
        self._show(method, path, body, answer.status_code, said)
        self.expect(f"{method} {path} is refused", answer.status_code, status)
        return said

    def command(self, *words: str) -> Any:
        """Run one of the system's commands with --json and show it."""
        line = [*MANAGE, *words, "--json"]
        run = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        self.console.print(f"[cyan]$ manage.py {escape(' '.join(words))}[/cyan]")
        if run.returncode != 0:
            last = run.stderr.strip()[-500:]
            raise UnexpectedAnswer(f"manage.py {' '.join(words)} ended with {run.returncode}: {last}")
        said = json_codec.loads(run.stdout.strip().splitlines()[-1].encode())
        self.console.print(f"  [dim]{escape(json_codec.dumps(said).decode())}[/dim]", highlight=False, soft_wrap=True)
        return said

    def until(self, what: str, look: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
        """Look again and again, quietly, until it is as awaited. Raises UnexpectedAnswer after TIMEOUT_SECONDS."""
        give_up = time.monotonic() + TIMEOUT_SECONDS
        while not done(seen := look()):
            if time.monotonic() > give_up:
                raise UnexpectedAnswer(f"{what} did not come about within {TIMEOUT_SECONDS} s: {seen}")
            time.sleep(0.1)
        return seen

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found == wanted:
            shown = escape(f"{what}: {found}")
            self.console.print(f"  [green]as it should be:[/green] {shown}", highlight=False, soft_wrap=True)
        else:
            self.wrong.append(f"{what}: {found} instead of {wanted}")
            self.console.print(f"  [red]WRONG: {escape(self.wrong[-1])}[/red]", highlight=False)

    def _show(self, method: str, path: str, body: Any, status: int, said: Any) -> None:
        shown = f" {json.dumps(body)}" if body is not None else ""
        self.console.print(f"[cyan]{method} {escape(path)}[/cyan]{escape(shown)}", highlight=False, soft_wrap=True)
        text = json_codec.dumps(_without_secrets(said)).decode()
        self.console.print(f"  [yellow]{status}[/yellow] {escape(text)}", highlight=False, soft_wrap=True)


def _without_secrets(said: Any) -> Any:
    """Tokens are long and nobody's business."""
    if isinstance(said, dict):
        hidden = {"access", "refresh", "access_token", "signing_key"}
        return {name: f"{value[:12]}…" if name in hidden else value for name, value in said.items()}
    return said


def dollars(cents: int | Decimal) -> Decimal:
    return Decimal(int(cents)).scaleb(-2)
