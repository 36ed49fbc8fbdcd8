"""The web process: `python -m brokerage.web`, with Granian's own options.

It becomes Granian once the settings could be read. Granian itself would start its workers again and again, each with
the same traceback.
"""

from __future__ import annotations

import os
import sys

from brokerage.starting import with_good_settings

if __name__ == "__main__":
    with with_good_settings():
        import brokerage.settings  # noqa: F401
    os.execv(sys.executable, [sys.executable, "-m", "granian", *sys.argv[1:]])  # noqa: S606 - our own command line
