"""A clock of one process that is wrong by whatever a file says, and jumps when somebody writes another number there.

A small library stands before libc's in that one process and its children, so every clock of the calendar in it is
off: Python's, the web server's, and what makes ids. Clocks that measure durations stay right, as they do on a host
whose time is set.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc")

CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile int64_t *off;
__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("CLOCK_FILE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(0, sizeof *off, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) off = found;
    close(file);
}
int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, which, now);
    if (!failed && off && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += *off;
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


class SteppingClock:
    """Right at first. `environment` puts it into a process that is started with it. Needs a C compiler."""

    def __init__(self, home: Path) -> None:
        self._file = home / "offset"
        self._library = home / "stepping_clock.so"
        self.seconds = 0
        self.set(0)
        source = home / "stepping_clock.c"
        source.write_text(CLOCK)
        subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", self._library, source], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "CLOCK_FILE": str(self._file)}

    def set(self, seconds: int) -> None:
        """From now on so many seconds ahead; negative: behind. Written in place: processes have the file mapped."""
        self.seconds = seconds
        self._file.touch()
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))
