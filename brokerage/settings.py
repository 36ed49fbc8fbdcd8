"""Every setting of the application, read from the environment here and nowhere else (docs/settings.md has them all).

What only `manage.py up` needs, as ports and numbers of processes, is read by it and by `brokerage/stack/`.

Nothing has to be set to try it: without DATABASE_URL and REDIS_URL the servers that `manage.py up`
started are found by themselves, and a secret key is made once and kept beside their data.
A production start (SANDBOX=0) refuses to make up a secret.
"""

from __future__ import annotations

import secrets
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

from brokerage.stack.where import data_dir, embedded_urls

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

# --- what this installation is ---------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SANDBOX = env.bool("SANDBOX", default=True)  # accepts PostTrade.expected_error, seeds demo data
BROKERAGE_BY = env.str("BROKERAGE_BY", default="")  # who runs commands, where --by doesn't say it
DEMO = SANDBOX and env.bool("DEMO", default=False)  # a window that cuts crypto trades every minute
# This machine itself may always ask: `up` and health checks do.
ALLOWED_HOSTS = [*env.list("ALLOWED_HOSTS", default=["testserver"]), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("HTTPS", default=False)  # behind TLS: secure cookies, HSTS, redirects


def _kept_secret(name: str) -> str:
    """A secret of 64 random bytes, made at the first start and kept in the data directory (0600)."""
    path = data_dir() / "secrets" / name
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    data_dir().mkdir(mode=0o755, parents=True, exist_ok=True)  # writable for nobody else, whatever the umask
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f"{name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(64))
    try:
        path.hardlink_to(draft)  # the first of two starters wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()


SECRET_KEY = env.str("SECRET_KEY", default="")
JWT_SIGNING_KEY = env.str("JWT_SIGNING_KEY", default="")
if not (SECRET_KEY and JWT_SIGNING_KEY):
    if not SANDBOX:  # several hosts would each make their own, and none would know the others' tokens
        raise ImproperlyConfigured("With SANDBOX=0, SECRET_KEY and JWT_SIGNING_KEY must be set.")
    SECRET_KEY = SECRET_KEY or _kept_secret("django")
    JWT_SIGNING_KEY = JWT_SIGNING_KEY or _kept_secret("jwt")
if len(JWT_SIGNING_KEY.encode()) < 32:
    raise ImproperlyConfigured("JWT_SIGNING_KEY must be at least 32 bytes long.")

# --- where the servers are -------------------------------------------------------------------------

_embedded = embedded_urls()
DATABASE_URL = env.str("DATABASE_URL", default="")  # the application's role: it can't change what is append-only
MIGRATION_DATABASE_URL = env.str("MIGRATION_DATABASE_URL", default="")  # the role that owns the tables
if not DATABASE_URL:
    DATABASE_URL = _embedded.get("DATABASE_URL", "")
    MIGRATION_DATABASE_URL = MIGRATION_DATABASE_URL or _embedded.get("MIGRATION_DATABASE_URL", "")
REDIS_URL = env.str("REDIS_URL", default="") or _embedded.get("REDIS_URL", "")
CACHE_URL = env.str("CACHE_URL", default="") or REDIS_URL
STREAM_URL = env.str("STREAM_URL", default="") or REDIS_URL  # commands, replies and prices
BROKER_URL = env.str("BROKER_URL", default="")
if BROKER_URL.startswith("unix:"):  # Celery's command line reads this variable by itself, as it stands
    raise ImproperlyConfigured("Write BROKER_URL for a unix socket as redis+socket:///path?virtual_host=0.")
BROKER_URL = BROKER_URL or REDIS_URL


def _database(url: str) -> dict[str, Any]:
    """A PostgreSQL URL as Django wants it; a percent-encoded path as host means a unix socket."""
    parts = urlsplit(url)
    if url and parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must start with postgres:// (SQLite would corrupt amounts).")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "brokerage",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(_host(url)),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {
            **dict(parse_qsl(parts.query)),
            "pool": {
                "min_size": 0,
                "max_size": env.int("DB_POOL_SIZE", default=20),
                "timeout": env.int("DB_POOL_TIMEOUT_SECONDS", default=4),
                "max_idle": 60,
            },
            "connect_timeout": 3,
            # A lock that an operator left behind may cost one request, never the trading day.
            "options": "-c lock_timeout=4s -c statement_timeout=60s -c TimeZone=UTC",
        },
        "TEST": {"NAME": env.str("TEST_DATABASE_NAME", default="") or None},
    }


def _host(url: str) -> str:
    """The host of a URL as written: urlsplit lower-cases it, which would change a socket's path."""
    authority = urlsplit(url).netloc.rpartition("@")[2]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


DATABASES = {"default": _database(DATABASE_URL)}
OWNER_DATABASE = _database(MIGRATION_DATABASE_URL or DATABASE_URL)
APPLICATION_ROLE, APPLICATION_PASSWORD = DATABASES["default"]["USER"], DATABASES["default"]["PASSWORD"]
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": CACHE_URL or "redis://127.0.0.1:6379/0",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            "SERIALIZER": "brokerage.cache.Json",  # a pickle in Redis would be a program
        },
        "KEY_PREFIX": "cache",
        "VERSION": 2,  # 1 was pickled
    }
}

# --- Django ----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "django_celery_beat",
    "accounts",
    "quotes",
    "trades",
    "brokerage",
]

MIDDLEWARE = [
    "brokerage.http.arrival.ArrivalMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "brokerage.http.hot_path.HotPathMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "brokerage.urls"
WSGI_APPLICATION = "brokerage.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a POST into a GET; API paths take both forms themselves
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_REDIRECT_URL = "/admin/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None  # where collectstatic writes, if somebody wants that
WHITENOISE_USE_FINDERS = True  # no collectstatic step between a checkout and a running admin
WHITENOISE_AUTOREFRESH = DEBUG
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 8 * 3600

# --- the admin -------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Brokerage admin",
    "SITE_HEADER": "Brokerage",
    "SITE_SUBHEADER": "Back office",
    "SITE_SYMBOL": "account_balance",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "trades.admin.navigation.environment",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}brokerage/icon.svg"}],
    "STYLES": [f"{STATIC_URL}brokerage/admin.css"],
    "DASHBOARD_CALLBACK": "trades.admin.dashboard.figures",
    "SIDEBAR": "trades.admin.navigation.sidebar",
    "COLORS": {
        "primary": {
            "50": "#eef7f6",
            "100": "#d5ecea",
            "200": "#aedad6",
            "300": "#7dc0bb",
            "400": "#4aa29c",
            "500": "#2f9790",
            "600": "#1f6d69",
            "700": "#1c5855",
            "800": "#1a4745",
            "900": "#183b3a",
            "950": "#0a2322",
        },
    },
}

# --- the API ---------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["brokerage.http.tokens.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["brokerage.http.scopes.ScopeRequired"],
    "DEFAULT_RENDERER_CLASSES": ["brokerage.http.exact_json.ExactJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["brokerage.http.exact_json.ExactJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "brokerage.http.exact_json.AlwaysJSON",
    "EXCEPTION_HANDLER": "brokerage.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "AUDIENCE": "brokerage-api",
    "ISSUER": env.str("JWT_ISSUER", default="brokerage"),
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=env.int("ACCESS_TOKEN_SECONDS", default=3600)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=14)),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "UPDATE_LAST_LOGIN": False,
}
CLIENT_TOKEN_SECONDS = env.int("CLIENT_TOKEN_SECONDS", default=1800)

# --- the firm's rules ------------------------------------------------------------------------------

BANK_GUID = env.str("BANK_GUID", default="018f0000000070008000000000000001")  # this firm, to API clients
ACCOUNT_CURRENCY = "USD"  # margin accounts are kept in it
MARGIN_CALL_PERCENT = env.int("MARGIN_CALL_PERCENT", default=100)  # margin level at or below which it is called
STOP_OUT_PERCENT = env.int("STOP_OUT_PERCENT", default=50)  # and at or below which positions are closed
if not 0 < STOP_OUT_PERCENT < MARGIN_CALL_PERCENT:
    raise ImproperlyConfigured("STOP_OUT_PERCENT must be above 0 and below MARGIN_CALL_PERCENT.")
MARGIN_CALL_RELEASE_PERCENT = env.int("MARGIN_CALL_RELEASE_PERCENT", default=MARGIN_CALL_PERCENT + 5)  # above: over
if MARGIN_CALL_RELEASE_PERCENT < MARGIN_CALL_PERCENT:
    raise ImproperlyConfigured("MARGIN_CALL_RELEASE_PERCENT must be at least MARGIN_CALL_PERCENT.")


def _time_of_day(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise ImproperlyConfigured("SWAP_TIME must be a time of day such as 17:00.") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, or no name of a zone at all
        raise ImproperlyConfigured("SWAP_ZONE must be the name of a time zone such as America/New_York.") from None


SWAP_TIME = _time_of_day(env.str("SWAP_TIME", default="17:00"))  # when a position counts as held overnight
SWAP_ZONE = _zone(env.str("SWAP_ZONE", default="America/New_York"))  # and where


def _hours_by_kind(text: str) -> dict[str, int]:
    """`crypto=96,fiat=96,metal=96`: all three kinds of asset, whole hours above 0."""
    parts = [part.strip().split("=") for part in text.split(",")]
    hours = {part[0]: int(part[1]) for part in parts if len(part) == 2 and part[1].isdigit() and int(part[1]) > 0}
    if len(hours) != len(parts) or set(hours) != {"crypto", "fiat", "metal"}:
        raise ImproperlyConfigured("SETTLING_LATE_HOURS must name hours as in crypto=96,fiat=96,metal=96.")
    return hours


# What the audit looks at is listed in the wiring, since `accounts` knows no other app: its checks, the tables that are
# sealed, and those whose rows have versions.
AUDIT_CHECKS = "brokerage.audited.CHECKS"
SEALED_TABLES = "brokerage.audited.SEALED"
VERSIONED_TABLES = "brokerage.audited.VERSIONED"

# How long a trade may wait before it counts as late: a sweep comes every ten seconds, and from the last cut before a
# long weekend to the first after it is 88 hours.
STORING_LATE_SECONDS = env.int("STORING_LATE_SECONDS", default=120)
SETTLING_LATE_HOURS = _hours_by_kind(env.str("SETTLING_LATE_HOURS", default="crypto=96,fiat=96,metal=96"))
CLOSE_DEADLINE_SECONDS = 5  # contract: POST /trade/close
CREATE_DEADLINE_SECONDS = 3  # contract: POST /trade/create
MAX_WAITING_REQUESTS = env.int("MAX_WAITING_REQUESTS", default=320)  # per web process; past it 503 at once
ENGINE_TICK_COMMANDS = env.int("ENGINE_TICK_COMMANDS", default=256)
FEED_TICK_MILLISECONDS = env.int("FEED_TICK_MILLISECONDS", default=250)
FEED_SEED = env.int("FEED_SEED", default=None)  # the same seed, the same simulated prices
ENGINE_PARTITIONS = env.int("ENGINE_PARTITIONS", default=1)  # streams, and so engines; customers are spread over them

# --- Celery ----------------------------------------------------------------------------------------


def _broker(url: str) -> str:
    """A Redis URL as Celery's transport wants it: a unix socket has a scheme of its own there."""
    if not url.startswith("unix://"):
        return url
    parts = urlsplit(url)
    return f"redis+socket://{parts.path}?virtual_host={dict(parse_qsl(parts.query)).get('db', '0')}"


SETTLERS = env.int("SETTLERS", default=2)  # workers that settle at once; have one more, for what clients wait for

CELERY_BROKER_URL = _broker(BROKER_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "brokerage"
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_PUBLISH_RETRY = False  # the sweeper finds what a wake-up that can't be sent was for
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a broker that is away is waited for, however long
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # else whoever can PUBLISH could stop every worker
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 5}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "brokerage.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "advance what stands in storing": {"task": "trades.tasks.sweep", "schedule": 10.0},
    "cut the windows that are due": {"task": "trades.tasks.cut_due", "schedule": 10.0},
    "settle the batches that were cut": {"task": "trades.tasks.settle_open", "schedule": 15.0},
    "make failed legs due again": {"task": "trades.tasks.retry_legs", "schedule": 30.0},
    "forget price extremes": {"task": "trades.tasks.forget_old_extremes", "schedule": 86400.0},
    "audit the ledger": {"task": "accounts.tasks.audit", "schedule": 3600.0},
    "seal history": {"task": "accounts.tasks.seal", "schedule": 300.0},
    "verify sealed history": {"task": "accounts.tasks.verify", "schedule": 86400.0},
    "forget expired tokens": {"task": "accounts.tasks.forget_expired_tokens", "schedule": 86400.0},
}

# --- logs ------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "brokerage.stack.masking.Masked", "format": "%(levelname)-7s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},  # a 4xx is the caller's news, not ours
        "psycopg.pool": {"level": "ERROR"},  # it tries on for ever; who needed a connection says so once
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "django_celery_beat": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
    },
}
