"""PostgreSQL's own benchmark, TPC-B-like, on the server that the system under test uses."""

from __future__ import annotations

import os
import re
import subprocess
from urllib.parse import unquote, urlsplit

import psycopg

from brokerage.stack.postgres import binaries

SCALE, CLIENTS, THREADS, SECONDS = 20, 8, 2, 10


def transactions_per_second(database_url: str, seconds: int = SECONDS) -> float:
    """TPC-B transactions per second: scale 20, 8 clients, prepared statements. The data is made once."""
    parts = urlsplit(database_url)
    host = unquote(parts.netloc.rpartition("@")[2].partition(":")[0])
    environment = {
        **os.environ,
        "PGHOST": host,
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGPORT": str(parts.port or 5432),
    }
    pgbench = str(binaries() / "pgbench")
    with psycopg.connect(database_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'pgbench'").fetchone()
        if not known:
            connection.execute("CREATE DATABASE pgbench")
    if not known:
        subprocess.run(
            [pgbench, "-i", "-q", "-s", str(SCALE), "pgbench"], env=environment, check=True, capture_output=True
        )
    run = subprocess.run(
        [pgbench, "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(THREADS), "-T", str(seconds), "pgbench"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"tps = ([0-9.]+)", run.stdout)
    if found is None:
        raise RuntimeError(f"pgbench said nothing of use:\n{run.stdout}")
    return float(found[1])
