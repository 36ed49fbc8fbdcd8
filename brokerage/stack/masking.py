"""What must not stand in a log: passwords, their hashes, tokens, e-mail addresses, rows that a statement failed on."""

from __future__ import annotations

import re

_MASKED = (
    # A server's address with a password: redis://:secret@host, postgres://role:secret@host.
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s@/]+@"), r"\1:***@"),
    # Django's password hashes, and JSON Web Tokens.
    (re.compile(r"\b(?:pbkdf2_\w+|argon2\w*|bcrypt\w*|scrypt|md5)\$[^\s'\",)]+"), "[hash]"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "[token]"),
    # PostgreSQL's details repeat the row, or the value that is taken.
    (re.compile(r"(Failing row contains) \(.*\)"), r"\1 ([row])"),
    (re.compile(r"(Key \([^)]*\)=)\(.*?\)(?= )"), r"\1([value])"),
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "[e-mail]"),
)
_MAY_NEED_IT = re.compile(r"[@$]|eyJ|contains|Key ")


def masked(text: str) -> str:
    """The text without secrets and addresses; ids stay, by which whoever may look them up finds the person."""
    if _MAY_NEED_IT.search(text):
        for pattern, instead in _MASKED:
            text = pattern.sub(instead, text)
    return text
