"""Every setting of the application, read from the environment here and nowhere else (docs/settings.md has them all).

What only `manage.py up` needs, as ports and numbers of processes, is read by it and by `brokerage/stack/`.

Nothing has to be set to try it: without DATABASE_URL and REDIS_URL the servers that `manage.py up`
started are found by themselves, and a secret key is made once and kept beside their data.
A production start (SANDBOX=0) refuses to make up a secret.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import limits
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from brokerage.environment import Environment
from brokerage.stack.where import data_dir, embedded_urls
from quotes.made_of import NAME

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
env.read_env(BASE_DIR / ".env")

# --- what this installation is ---------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SANDBOX = env.bool("SANDBOX", default=True)  # /api/sandbox, PostTrade.expected_error, demo data
BROKERAGE_BY = env.str("BROKERAGE_BY", default="")  # who runs commands, where --by doesn't say it
# Customers are verified by a check that looks at nothing; off, each waits for an operator.
SIMULATED_CHECKS = env.bool("SIMULATED_CHECKS", default=SANDBOX)
DEMO = SANDBOX and env.bool("DEMO", default=False)  # a window that cuts crypto trades every minute
# This machine itself may always ask: `up` and health checks do.
ALLOWED_HOSTS = [*env.list("ALLOWED_HOSTS", default=["testserver"]), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Whose pages in a browser may call the API: https://shop.example, separated by commas. Nobody's, unless they are named.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
HTTPS = env.bool("HTTPS", default=False)  # behind TLS: secure cookies, HSTS, redirects; the API refuses what isn't
PROXIES = env.int("PROXIES", default=0)  # how many of X-Forwarded-For's last addresses our own proxies wrote


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


SECRET_KEY = env.secret("SECRET_KEY", default="")
JWT_SIGNING_KEY = env.secret("JWT_SIGNING_KEY", default="")
if not (SECRET_KEY and JWT_SIGNING_KEY):
    if not SANDBOX:  # several hosts would each make their own, and none would know the others' tokens
        raise ImproperlyConfigured("With SANDBOX=0, SECRET_KEY and JWT_SIGNING_KEY must be set.")
    SECRET_KEY = SECRET_KEY or _kept_secret("django")
    JWT_SIGNING_KEY = JWT_SIGNING_KEY or _kept_secret("jwt")
if len(JWT_SIGNING_KEY.encode()) < 32:
    raise ImproperlyConfigured("JWT_SIGNING_KEY must be at least 32 bytes long.")


def _can_be_guessed(secret: str) -> bool:
    """By Django's own measure (its check security.W009), which nobody has to run."""
    return len(secret) < 50 or len(set(secret)) < 5 or secret.startswith("django-insecure-")


if not SANDBOX:
    if _can_be_guessed(SECRET_KEY):
        raise ImproperlyConfigured("With SANDBOX=0, SECRET_KEY must have at least 50 characters, 5 different ones.")
    if len(set(JWT_SIGNING_KEY)) < 5:
        raise ImproperlyConfigured("With SANDBOX=0, JWT_SIGNING_KEY must have at least 5 different characters.")

# --- where the servers are -------------------------------------------------------------------------

_embedded = embedded_urls()
DATABASE_URL = env.secret("DATABASE_URL", default="")  # the application's role: it can't change what is append-only
MIGRATION_DATABASE_URL = env.secret("MIGRATION_DATABASE_URL", default="")  # the role that owns the tables
if not DATABASE_URL:
    DATABASE_URL = _embedded.get("DATABASE_URL", "")
    MIGRATION_DATABASE_URL = MIGRATION_DATABASE_URL or _embedded.get("MIGRATION_DATABASE_URL", "")
# "transaction": a pooler before PostgreSQL gives each transaction another session, so nothing is kept in one
# (docs/decisions/0101-a-pooler-in-transaction-mode.md).
DB_POOLER = env.str("DB_POOLER", default="")
if DB_POOLER not in {"", "transaction"}:
    raise ImproperlyConfigured("DB_POOLER must be empty or transaction.")
DIRECT_DATABASE_URL = env.secret("DIRECT_DATABASE_URL", default="")  # the application's role, past the pooler
if DB_POOLER and not (DATABASE_URL and DIRECT_DATABASE_URL):
    raise ImproperlyConfigured(
        "With DB_POOLER, DATABASE_URL must name the pooler and DIRECT_DATABASE_URL PostgreSQL itself."
    )
REDIS_URL = env.secret("REDIS_URL", default="") or _embedded.get("REDIS_URL", "")
CACHE_URL = env.secret("CACHE_URL", default="") or REDIS_URL
STREAM_URL = env.secret("STREAM_URL", default="") or REDIS_URL  # commands, replies and prices
BROKER_URL = env.secret("BROKER_URL", default="")
if BROKER_URL.startswith("unix:"):  # Celery's command line reads this variable by itself, as it stands
    raise ImproperlyConfigured("Write BROKER_URL for a unix socket as redis+socket:///path?virtual_host=0.")
BROKER_URL = BROKER_URL or REDIS_URL


# What holds for each session. A pooler passes no such options on: then the role has them, which `migrate` sees to.
SESSION_SETTINGS = {
    "lock_timeout": "4s",  # a lock that an operator left behind may cost one request, never the trading day
    "statement_timeout": "1min",
    "TimeZone": "UTC",
}


def _database(url: str, *, pooler: str = "") -> dict[str, Any]:
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
            **({} if pooler else {"options": " ".join(f"-c {name}={its}" for name, its in SESSION_SETTINGS.items())}),
        },
        "DISABLE_SERVER_SIDE_CURSORS": bool(pooler),
        "TEST": {"NAME": env.str("TEST_DATABASE_NAME", default="") or None},
    }


def _host(url: str) -> str:
    """The host of a URL as written: urlsplit lower-cases it, which would change a socket's path."""
    authority = urlsplit(url).netloc.rpartition("@")[2]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


DATABASES = {"default": _database(DATABASE_URL, pooler=DB_POOLER)}
if DB_POOLER:  # its sessions keep locks (accounts/db/locks.py), and nothing else asks there
    DATABASES["direct"] = _database(DIRECT_DATABASE_URL)
OWNER_DATABASE = _database(MIGRATION_DATABASE_URL or DIRECT_DATABASE_URL or DATABASE_URL)
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

# Where processes tell their metrics: a port of its own for each, accounts/metrics.py; 0: they don't.
METRICS_PORT = env.int("METRICS_PORT", default=0)
if not 0 <= METRICS_PORT <= 65_000:
    raise ImproperlyConfigured("METRICS_PORT must be 0, or a port with room for those above it: 65000 at the most.")
METRICS_HOST = env.str("METRICS_HOST", default="127.0.0.1")
# Engine, feed, worker and beat end where their loop doesn't come round for so long; 0: never.
HEARTBEAT_SECONDS = env.int("HEARTBEAT_SECONDS", default=300)
if HEARTBEAT_SECONDS < 0:
    raise ImproperlyConfigured("HEARTBEAT_SECONDS must not be negative; 0 switches it off.")
HEARTBEAT_FILE = env.str("HEARTBEAT_FILE", default="")  # is touched while it does
ALERT_URL = env.secret("ALERT_URL", default="")  # is called after each good audit and seal, so that silence alarms
if ALERT_URL and not (ALERT_URL.startswith(("https://", "http://")) and "{}" in ALERT_URL):
    raise ImproperlyConfigured("ALERT_URL must be an address with {} in it, which stands for audit or seal.")

# Where `backup` and `archive_wal` write, unless they are told (brokerage/backup/).
BACKUP_DIR = env.str("BACKUP_DIR", default="")
BACKUP_SYNCHRONOUS = env.bool("BACKUP_SYNCHRONOUS", default=False)  # each COMMIT waits for the archive
# The dashboard is unwell where the last one is older; 0: nobody looks.
BACKUP_MAX_AGE_HOURS = env.int("BACKUP_MAX_AGE_HOURS", default=0 if SANDBOX else 26)
if BACKUP_MAX_AGE_HOURS < 0:
    raise ImproperlyConfigured("BACKUP_MAX_AGE_HOURS must not be negative; 0 switches it off.")
POSTGRES_PROGRAMS = env.str("POSTGRES_PROGRAMS", default="")  # the directory of pg_dump and the others

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
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework_simplejwt.token_blacklist",
    "django_celery_beat",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    *(["corsheaders"] if CORS_ALLOWED_ORIGINS else []),
    "accounts",
    "quotes",
    "trades",
    "brokerage",
]

MIDDLEWARE = [
    "brokerage.http.request_id.RequestIdMiddleware",
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    "brokerage.http.api_answers.ApiAnswersMiddleware",
    "brokerage.http.arrival.ArrivalMiddleware",
    "brokerage.http.limits.ApiLimits",
    *(["brokerage.sandbox.forcing.ForcedFaults"] if SANDBOX else []),
    "brokerage.http.pages.Health",  # from here on: not the API's
    "brokerage.http.pages.Security",
    "brokerage.http.pages.Journal",
    "brokerage.http.pages.LoginLimits",
    "brokerage.http.pages.Common",
    "brokerage.http.pages.Policies",
    "brokerage.http.pages.StaticFiles",
    "brokerage.http.pages.Methods",
    "brokerage.http.pages.Sessions",
    "brokerage.http.pages.Csrf",
    "brokerage.http.pages.Logins",
    "brokerage.http.pages.Devices",
    "brokerage.http.pages.SecondFactor",
    "brokerage.http.pages.Uploads",
    "brokerage.http.pages.Messages",
    "brokerage.http.pages.SignedOut",
    "brokerage.http.pages.Frames",
    "brokerage.http.pages.OddAddresses",
]

# They look for Django's own classes by name; ours derive from them (brokerage/http/pages.py).
SILENCED_SYSTEM_CHECKS = ["security.W001", "security.W002", "security.W003"]

ROOT_URLCONF = "brokerage.urls"
WSGI_APPLICATION = "brokerage.wsgi.application"
FORCE_SCRIPT_NAME = ""  # its paths begin at the root; Django would work that out twice a request
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
PASSWORD_HASHERS = [
    "accounts.passwords.Hasher",  # Django's first, in its turn; who has a hash by another gets one by this at a login
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "accounts.passwords.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Hashing takes a third of a second of a core. All web processes together hash on half of the cores, at least one each;
# the others wait so many seconds, and so many of them.
WEB_WORKERS = env.int("WEB_WORKERS", default=1)
if WEB_WORKERS < 1:
    raise ImproperlyConfigured("WEB_WORKERS must be at least 1.")
PASSWORD_HASHES_AT_ONCE = env.int("PASSWORD_HASHES_AT_ONCE", default=max(1, (os.cpu_count() or 1) // (2 * WEB_WORKERS)))
PASSWORD_WAIT_SECONDS = env.int("PASSWORD_WAIT_SECONDS", default=10)
if PASSWORD_HASHES_AT_ONCE < 1:
    raise ImproperlyConfigured("PASSWORD_HASHES_AT_ONCE must be at least 1.")
MAX_WAITING_PASSWORDS = env.int("MAX_WAITING_PASSWORDS", default=64)
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
DATA_UPLOAD_MAX_MEMORY_SIZE = 65_536  # a body that HAProxy holds until it is whole (brokerage/stack/haproxy/)

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^oauth/"]  # refused (brokerage/http/request_bytes.py)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
# What a page may load: nothing, and by its path what is listed. The admin's Alpine.js (Unfold) evaluates what stands in
# attributes, so it needs eval; no page of it has a script of its own. Styles stand in attributes and in one element.
_NOBODY_FRAMES_IT = {"base-uri": [NONE], "frame-ancestors": [NONE]}
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": [NONE], "form-action": [NONE], **_NOBODY_FRAMES_IT}}
_OUR_OWN = {"style-src": [SELF, UNSAFE_INLINE], "img-src": [SELF, "data:"], "connect-src": [SELF], "font-src": [SELF]}
PAGE_POLICIES = {
    "/admin/": {**_OUR_OWN, "script-src": [SELF, UNSAFE_EVAL], "form-action": [SELF]},
    "/api/docs": {**_OUR_OWN, "script-src": [SELF]},
}
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 8 * 3600
# Staff show a code of a second factor before any page of the admin, and a fresh one to apply and confirm.
SECOND_FACTOR = env.bool("SECOND_FACTOR", default=not SANDBOX)
OTP_TOTP_ISSUER = env.str("SECOND_FACTOR_NAME", default="Brokerage")  # what an authenticator shows

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
    "LOGIN": {"form": "accounts.login_form.LoginForm"},
    "SCRIPTS": [f"{STATIC_URL}brokerage/forms.js"],
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
    "DEFAULT_THROTTLE_CLASSES": ["brokerage.http.limits.LoginThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["brokerage.http.exact_json.ExactJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["brokerage.http.exact_json.ExactJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "brokerage.http.exact_json.AlwaysJSON",
    "EXCEPTION_HANDLER": "brokerage.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "brokerage.openapi.schema.ExactSchema",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Brokerage",
    "DESCRIPTION": "Margin orders (/api/v1); quotes, trades, exits, settlement (/api). Any path may end in a slash.\n\n"
    "Numbers are exact: read them as decimals, and as integers of any size. Whose JSON parser makes floats of them "
    "sends `Accept: application/json;numbers=text`: every number of the answer, an error's too, is a string of its "
    "digits, and the schemas' `integer` and `number` are `string`. In a body that is sent, amounts stay integers.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": r"/api(/v1)?",
    "PREPROCESSING_HOOKS": ["brokerage.openapi.schema.without_slash"],
    "POSTPROCESSING_HOOKS": ["brokerage.openapi.schema.with_errors"],
    "COMPONENT_SPLIT_PATCH": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": f"{STATIC_URL}brokerage/icon.svg",
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
CORS_URLS_REGEX = r"^/(?:api|oauth)/"  # never the admin
CORS_ALLOW_HEADERS = (
    *("authorization", "content-type", "idempotency-key", "if-none-match"),
    *("x-customer-guid", "x-request-id"),
)
CORS_ALLOW_METHODS = ("GET", "POST", "PATCH", "DELETE")
CORS_EXPOSE_HEADERS = ("ETag", "Error-Code", "Idempotent-Replayed", "Retry-After", "X-Request-ID", "Sandbox-Fault")
CLIENT_TOKEN_SECONDS = env.int("CLIENT_TOKEN_SECONDS", default=1800)
INVITATION_DAYS = env.int("INVITATION_DAYS", default=7)

# --- limits ----------------------------------------------------------------------------------------


def _limits(text: str) -> list[limits.RateLimitItem]:
    """Such as `10/minute;50/hour`; "" for none."""
    try:
        return limits.parse_many(text) if text else []
    except ValueError:
        raise ImproperlyConfigured(f"{text!r} is no limit such as 10/minute;50/hour.") from None


def _limit(text: str) -> list[limits.RateLimitItem]:
    if len(found := _limits(text)) > 1:
        raise ImproperlyConfigured(f"{text!r} must be one limit such as 600/minute.")
    return found


LIMITS_URL = env.secret("LIMITS_URL", default="") or CACHE_URL
LIMITS = {
    # Of every call of the API, by who makes it; `address`: of those without a good token.
    "customer": _limit(env.str("LIMIT_CUSTOMER", default="30000/minute")),
    "client": _limit(env.str("LIMIT_CLIENT", default="120000/minute")),
    "address": _limit(env.str("LIMIT_ADDRESS", default="6000/minute")),
    # Of what asks for a password or a secret, and of new accounts.
    "login_address": _limits(env.str("LIMIT_LOGIN_ADDRESS", default="60/minute;600/hour")),
    "login_account": _limits(env.str("LIMIT_LOGIN_ACCOUNT", default="10/minute;50/hour")),
    # Of logins to the admin alone, besides: those that fail.
    "admin_account": _limits(env.str("LIMIT_ADMIN_LOGIN_ACCOUNT", default="5/15minute")),
    "admin_address": _limits(env.str("LIMIT_ADMIN_LOGIN_ADDRESS", default="20/15minute")),
    "signup_address": _limits(env.str("LIMIT_SIGNUP_ADDRESS", default="20/minute;100/hour")),
    "token_address": _limits(env.str("LIMIT_TOKEN_ADDRESS", default="300/minute")),
    "token_client": _limits(env.str("LIMIT_TOKEN_CLIENT", default="60/minute")),
}


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError as wrong:
        raise ImproperlyConfigured(
            f"WEBHOOK_ALLOWED_NETWORKS must name networks such as 10.1.0.0/16: {wrong}"
        ) from None


# --- the firm's rules ------------------------------------------------------------------------------

# Where webhooks may be sent besides the public internet, and over http: CIDRs, for tests and on-premises.
WEBHOOK_ALLOWED_NETWORKS = [_network(text) for text in env.list("WEBHOOK_ALLOWED_NETWORKS", default=[])]
_RAILS = ("sandbox", "manual", "bank_file") if SANDBOX else ("manual", "bank_file")
PAYMENT_RAIL = env.str("PAYMENT_RAIL", default="") or ("sandbox" if SANDBOX else "manual")  # of new payments
PAYMENT_RAILS = env.dict("PAYMENT_RAILS", default={})  # and by asset, where that is another: EUR=bank_file,USD=manual
if not {PAYMENT_RAIL, *PAYMENT_RAILS.values()} <= {*_RAILS}:
    raise ImproperlyConfigured(
        "PAYMENT_RAIL and those of PAYMENT_RAILS must be manual, bank_file or, in a sandbox, sandbox."
    )
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
# How long a cut that is due waits for trades accepted before it that are storing, as where a market has no price.
CUT_WAIT_SECONDS = env.int("CUT_WAIT_SECONDS", default=180)
CLOSE_DEADLINE_SECONDS = 5  # contract: POST /trade/close
CREATE_DEADLINE_SECONDS = 3  # contract: POST /trade/create
# What one dealer may close alone in a day, quantity times price in the account currency; above it two persons do.
DEALER_ALONE_LIMIT = Decimal(env.str("DEALER_ALONE_LIMIT", default="100000"))
if not DEALER_ALONE_LIMIT.is_finite() or DEALER_ALONE_LIMIT < 0:
    raise ImproperlyConfigured("DEALER_ALONE_LIMIT must be an amount of the account currency, 0 or more.")
MAX_WAITING_REQUESTS = env.int("MAX_WAITING_REQUESTS", default=320)  # per web process; past it 503 at once
STREAM_CONNECTIONS = env.int("STREAM_CONNECTIONS", default=12000)  # per stream process; past it 503 at once
STREAM_CONNECTIONS_OF_CALLER = env.int("STREAM_CONNECTIONS_OF_CALLER", default=20)  # of these; past it 429
STREAM_PATIENCE_SECONDS = env.int("STREAM_PATIENCE_SECONDS", default=10)  # for a request, a token, a slow reader
if min(STREAM_CONNECTIONS, STREAM_CONNECTIONS_OF_CALLER, STREAM_PATIENCE_SECONDS) < 1:
    raise ImproperlyConfigured("What begins with STREAM_CONNECTIONS, and STREAM_PATIENCE_SECONDS, must be at least 1.")
ENGINE_TICK_COMMANDS = env.int("ENGINE_TICK_COMMANDS", default=256)
FEED_TICK_MILLISECONDS = env.int("FEED_TICK_MILLISECONDS", default=250)
FEED_SEED = env.int("FEED_SEED", default=None)  # the same seed, the same simulated prices
FEED_CANDLE_FILES = Path(env.str("FEED_CANDLE_FILES", default=str(data_dir() / "feed")))  # gathered, not written yet


def _sources(text: str) -> dict[str, int]:
    """`coinbase=3,kraken`: names with how much each counts, 1 unless said, at most 1000; at most 16 of them."""
    parts = [part.strip().partition("=") for part in text.split(",")]
    weights = {name: weight if mark else "1" for name, mark, weight in parts}
    are_weights = all(
        weight.isascii() and weight.isdecimal() and 0 < int(weight) <= 1000 for weight in weights.values()
    )
    if len(weights) != len(parts) or not are_weights or "" in weights or len(weights) > 16:
        raise ImproperlyConfigured("FEED_SOURCES must name sources as in coinbase=3,kraken.")
    if unsound := [name for name in weights if not NAME.fullmatch(name)]:
        raise ImproperlyConfigured(
            f"FEED_SOURCES: {unsound[0][:60]!r} can't name a source;"
            " that is a small letter and at most 27 small letters, digits and _ more."
        )
    return {name: int(weight) for name, weight in weights.items()}


def _weights(text: str, sources: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """`BTC-USD/coinbase=5,BTC-USD/kraken=0`: how much a source counts for one symbol, from 0, not at all, to 1000."""
    found = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        key, _, weight = part.partition("=")
        symbol, _, name = key.partition("/")
        if name not in sources or not symbol or (symbol, name) in found:
            raise ImproperlyConfigured(f"FEED_WEIGHTS: {key[:60]!r} is not SYMBOL/SOURCE of FEED_SOURCES, said once.")
        if not (weight.isascii() and weight.isdecimal() and int(weight) <= 1000):
            raise ImproperlyConfigured("FEED_WEIGHTS must be as BTC-USD/coinbase=5,BTC-USD/kraken=0.")
        found[symbol, name] = int(weight)
    return found


FEED_SOURCES = _sources(env.str("FEED_SOURCES", default="simulator"))  # quotes/feeds/venues/
FEED_WEIGHTS = _weights(env.str("FEED_WEIGHTS", default=""), FEED_SOURCES)  # by symbol and source, where it is another
FEED_SIMULATOR = env.str("FEED_SIMULATOR", default="")  # correlation=0.6,gap_percent=1: what else a market may do
COINBASE_URL = env.str("COINBASE_URL", default="wss://advanced-trade-ws.coinbase.com")
KRAKEN_URL = env.str("KRAKEN_URL", default="wss://ws.kraken.com/v2")
OANDA_URL = env.str("OANDA_URL", default="https://stream-fxtrade.oanda.com")
OANDA_API_URL = env.str("OANDA_API_URL", default="https://api-fxtrade.oanda.com")  # which instruments there are
OANDA_ACCOUNT = env.str("OANDA_ACCOUNT", default="")
OANDA_TOKEN = env.secret("OANDA_TOKEN", default="")
CCXT_URL = env.str("CCXT_URL", default="")
CCXT_SECONDS = env.int("CCXT_SECONDS", default=2)  # between two questions
if CCXT_SECONDS < 1:
    raise ImproperlyConfigured("CCXT_SECONDS must be at least 1.")
REPLAY_FILE = env.str("REPLAY_FILE", default="")
REPLAY_SPEED = env.int("REPLAY_SPEED", default=1)  # 0: as fast as possible
if REPLAY_SPEED < 0:
    raise ImproperlyConfigured("REPLAY_SPEED must not be negative.")
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
    "carry payments on": {"task": "trades.tasks.sweep_payments", "schedule": 10.0},
    "check customers who stand in storing": {"task": "accounts.tasks.sweep_customers", "schedule": 10.0},
    "send webhooks": {"task": "accounts.tasks.send_webhooks", "schedule": 1.0},
    "note the oldest transaction": {"task": "accounts.tasks.note_horizon", "schedule": 5.0},
    "advance what stands in storing": {"task": "trades.tasks.sweep", "schedule": 10.0},
    "cut the windows that are due": {"task": "trades.tasks.cut_due", "schedule": 10.0},
    "settle the batches that were cut": {"task": "trades.tasks.settle_open", "schedule": 15.0},
    "carry reversals of batches on": {"task": "trades.tasks.carry_reversals_on", "schedule": 15.0},
    "make failed legs due again": {"task": "trades.tasks.retry_legs", "schedule": 30.0},
    "forget price extremes": {"task": "trades.tasks.forget_old_extremes", "schedule": 86400.0},
    "audit the ledger": {"task": "accounts.tasks.audit", "schedule": 3600.0},
    "seal history": {"task": "accounts.tasks.seal", "schedule": 300.0},
    "verify sealed history": {"task": "accounts.tasks.verify", "schedule": 86400.0},
    "forget answered requests": {"task": "accounts.tasks.forget_answered_requests", "schedule": 3600.0},
    "forget expired tokens": {"task": "accounts.tasks.forget_expired_tokens", "schedule": 86400.0},
}

# --- logs ------------------------------------------------------------------------------------------

LOG_FORMAT = env.str("LOG_FORMAT", default="readable")
if LOG_FORMAT not in {"readable", "json"}:
    raise ImproperlyConfigured("LOG_FORMAT must be readable or json.")
# A line for each request that was answered, and for each command that an engine has applied.
ACCESS_LOG = env.bool("ACCESS_LOG", default=LOG_FORMAT == "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "brokerage.logs.formatter", "how": LOG_FORMAT}},
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
