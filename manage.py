#!/usr/bin/env python
"""Every command of the brokerage, `manage.py up` first of all."""

import os
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility, get_commands

USAGE, SETTINGS = 2, 78  # as in accounts/management/exits.py, which needs settings that can be read


class Commands(ManagementUtility):
    """Django's own, which ends with 1 where there is no such command: our findings do."""

    def fetch_command(self, subcommand: str) -> Any:
        if subcommand not in get_commands():
            end(USAGE, f"Usage: there is no command {subcommand}; manage.py help lists them.")
        return super().fetch_command(subcommand)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")
    try:
        _ = settings.INSTALLED_APPS  # reads all of them
        Commands(sys.argv).execute()
    except ImproperlyConfigured as wrong:
        end(SETTINGS, f"Settings: {' '.join(str(wrong).split())}")


def end(code: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
