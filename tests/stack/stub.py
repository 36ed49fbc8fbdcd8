"""A system whose processes are a few lines each: what the tests start where only the supervisor matters.

Run as `python -m tests.stack.stub PORT`; the data directory comes from the environment.
"""

from __future__ import annotations

import sys

from brokerage.stack.failure import StackError
from brokerage.stack.processes import Child
from brokerage.stack.system import Step, System
from brokerage.stack.where import data_dir

WEB = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
WORKER = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
STUBBORN = """
import os, signal, sys, time
if os.environ.get("BROKEN_FEED"):
    sys.exit(7)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""
MIGRATE = """
import os, sys, time
if os.environ.get("FAIL_STEP"):
    sys.exit(3)
print("migrating slowly" if os.environ.get("SLOW_STEP") else "ok", flush=True)
time.sleep(int(os.environ.get("SLOW_STEP", "0")))
"""
ENGINE = "import os, time; print('matching on', os.environ['REDIS_URL'], flush=True); time.sleep(600)"


def main(port: int) -> None:
    table = [
        Child("web", (sys.executable, "-c", WEB, str(port)), 2.5),
        Child("feed", (sys.executable, "-c", STUBBORN), 0.7),
        Child("worker", (sys.executable, "-c", WORKER), 2.0),
        Child("engine", (sys.executable, "-c", ENGINE), 1.5),
    ]
    steps = [Step("migrate", (sys.executable, "-c", MIGRATE))]
    try:
        System(data_dir(), "127.0.0.1", port, table, steps).run()
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(int(sys.argv[1]))
