"""Secrets in what is printed: by the name of a setting, and inside URLs."""

from __future__ import annotations

import re

HIDDEN = "***"

_SECRET_WORDS = frozenset({"key", "secret", "password", "token", "sha256"})
# Lengths are bounded, so that a long text of somebody's making takes no long time.
_USERINFO = re.compile(
    r"""(?:(?<=//)|(?<=:/)(?!/))  # a path made of a URL has one slash
        (?:[^\s/?#'"<>]{0,512}@  # http://user:password@host
        |[^\s/?#'"<>@:]{0,256}:(?!\d*(?:[/?#]|$))[^\s'"<>]{0,512}@)  # a slash in the password
    """,
    re.VERBOSE,
)
_BARE_USERINFO = re.compile(r"""(?<![\w/])[\w.+-]{1,256}:[^\s'"/@]{1,512}@(?=[\w\[])""")
_QUERY = re.compile(
    r"""([?&][\w.-]{0,64}(?:key|secret|password|passwd|token|auth|sig)[\w.-]{0,64}=)[^&\s'"#]+""",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether the value of a setting of this name must not be shown: `api_key`, `sha256`."""
    return not _SECRET_WORDS.isdisjoint(name.lower().split("_"))


def masked(text: str) -> str:
    """`text` with `***` for users and passwords in URLs, and for secrets in their queries."""
    if "@" in text:
        text = _USERINFO.sub(f"{HIDDEN}@", text)
        text = _BARE_USERINFO.sub(f"{HIDDEN}@", text)
    if "=" in text:
        text = _QUERY.sub(rf"\1{HIDDEN}", text)
    return text
