"""Run a command with a parent-death signal: it gets SIGTERM when the process that started it dies. Linux only.

A script of its own, run between fork and the command: the request must be made in the child, and a
process with threads, as the supervisor is, should run no Python of its own between fork and exec.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the request was made
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - this process becomes the command


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
