"""Every command of docs/commands.md stands on the one base, so that it ends with the codes of the one table."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import get_commands, load_command_class

from accounts.management.output import Job, JSONCommand
from brokerage.stack.where import CHECKOUT
from tests.docs.test_commands_and_settings import table_of

NAMES = sorted({row[0].split("`")[1].split()[0] for row in table_of("commands.md")})
IN_JSON = {row[0].split("`")[1].split()[0] for row in table_of("commands.md") if "◇" in row[0]}


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_built_on_the_base(name: str) -> None:
    command = load_command_class(get_commands()[name], name)

    assert isinstance(command, JSONCommand if name in IN_JSON else Job)
    assert type(command).run_from_argv is Job.run_from_argv
    assert type(command).execute is Job.execute or name == "migrate"


@pytest.mark.parametrize("name", ["settle_batch", "migrate"])
def test_an_option_that_a_command_does_not_know_is_usage_and_one_line(name: str) -> None:
    run = subprocess.run(
        [sys.executable, "manage.py", name, "--no-such-option"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
    assert run.stderr.startswith("Usage: ")
