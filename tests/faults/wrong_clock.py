"""A wrong clock for one process: a small library that stands before libc's, so every clock in that process is off.

Python's, the web server's, and what makes ids; only durations stay right. `off` is a clock that is off by so much from
the start, `as_in` one that a file sets, which may step meanwhile.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc")

_CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long off(void) {
    const char *text = getenv("CLOCK_OFF"), *name = getenv("CLOCK_OFF_IN");
    if (name) {
        char read_text[32] = "";
        int file = open(name, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            long length = read(file, read_text, sizeof read_text - 1);
            close(file);
            return length > 0 ? atol(read_text) : 0;
        }
    }
    return text ? atol(text) : 0;
}
int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, which, now);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *where) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (where) *where = exact.tv_sec;
    return exact.tv_sec;
}
"""


def make_library(home: Path) -> Path:
    """The library, made in this directory. Needs a C compiler."""
    (home / "clock.c").write_text(_CLOCK)
    library = home / "clock.so"
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", library, home / "clock.c"], check=True)
    return library


def off(library: Path, seconds: int) -> dict[str, str]:
    """What a process' environment needs for a clock that is ahead by so much, or behind."""
    return {"LD_PRELOAD": str(library), "CLOCK_OFF": str(seconds)}


def as_in(library: Path, file: Path) -> dict[str, str]:
    """The same for a clock that is ahead by what stands in a file, as it stands there at each look."""
    return {"LD_PRELOAD": str(library), "CLOCK_OFF_IN": str(file)}
