#!/usr/bin/env python
"""Every command of the brokerage, `manage.py up` first of all."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import ManagementUtility, get_commands

from brokerage.starting import with_good_settings

USAGE = 2  # as in accounts/management/exits.py, which needs settings that can be read


class Commands(ManagementUtility):
    """Django's own, which ends with 1 where there is no such command: our findings do."""

    def fetch_command(self, subcommand: str) -> Any:
        if subcommand not in get_commands():
            print(f"Usage: there is no command {subcommand}; manage.py help lists them.", file=sys.stderr)
            sys.exit(USAGE)
        return super().fetch_command(subcommand)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")
    with with_good_settings():
        _ = settings.INSTALLED_APPS  # reads all of them
        Commands(sys.argv).execute()


if __name__ == "__main__":
    main()
