"""What can be wrong with the queue that gateways share."""

from __future__ import annotations

from headway.extras import install_extra
from headway.redaction import masked


class QueueError(Exception):
    """Redis cannot be used; the message says why and what to do."""


def needs_redis() -> QueueError:
    """The client is not installed."""
    return QueueError(f"the setting queue needs `{install_extra('redis')}`")


def sentence_of(error: Exception, url: str) -> str:
    """Why Redis at `url` does not answer as it should, in one sentence."""
    from redis.exceptions import AuthenticationError, AuthorizationError, ReadOnlyError

    text, place = masked(str(error)).rstrip("."), masked(url)
    if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in text:
        return f"Redis at {place} refuses the user or password in the URL of queue ({text})"
    if isinstance(error, ReadOnlyError) or "READONLY" in text:
        return f"Redis at {place} is a replica, which cannot be written; name its primary in queue"
    if isinstance(error, TimeoutError):
        return f"Redis at {place} does not answer in time"
    return f"Redis at {place} cannot be used: {text or type(error).__name__}"
