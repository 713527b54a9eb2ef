"""HTTP requests that start runs: signed, each once, as CloudEvents or as plain JSON."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.workflows.triggers.event import Around, CannotWatch, Event, Fire
from headway.workflows.triggers.signatures import secret_bytes, verified


class WrongMessage(Exception):
    """A message that is no event; says why."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Starts a run for each POST to `/hooks/NAME` of the worker.

    The message is signed as standardwebhooks.com says (`webhook-id`, `webhook-timestamp`,
    `webhook-signature`) or as GitHub does. A replay, and a second delivery of one message, start
    nothing.

    Args:
        name: the last part of the path.
        secret_env: the environment variable with the secret that its sender has.
        input: of each run.

    Raises:
        ValueError: the name is no part of a path; the variable is not set.
    """

    name: str
    secret_env: str
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import cloudevents  # noqa: F401  missing, it is missed where the workflow is loaded

        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"a webhook's name has letters, digits, - and _, not {self.name!r}")

    def secret(self) -> str:
        """Its secret. Raises ValueError if the variable is not set."""
        secret = os.environ.get(self.secret_env)
        if not secret:
            raise ValueError(
                f"webhook {self.name} needs its secret in the environment variable "
                f"{self.secret_env}"
            )
        secret_bytes(secret)
        return secret

    @property
    def watches(self) -> str:
        """What it looks at."""
        return self.name

    async def watch(self, around: Around, fire: Fire) -> None:
        """Nothing to watch: the worker's HTTP server fires its events."""
        try:
            self.secret()
        except ValueError as error:
            raise CannotWatch(str(error)) from None
        await asyncio.Event().wait()

    def event(self, headers: Mapping[str, str], body: bytes, now: float) -> Event:
        """The event of a message.

        Raises:
            WrongSignature: its sender is not who it should be.
            WrongMessage: its body is no JSON object and no CloudEvent.
        """
        id_ = verified(self.secret(), headers, now, body)
        if "ce-specversion" in headers or "cloudevents" in headers.get("content-type", ""):
            return _cloud_event(id_, headers, body)
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            is_form = "form-urlencoded" in headers.get("content-type", "")
            hint = ": let its sender write application/json" if is_form else ""
            raise WrongMessage(f"the body is no JSON{hint}") from None
        return Event(id_, data if isinstance(data, dict) else {"data": data})


def _cloud_event(id_: str, headers: Mapping[str, str], body: bytes) -> Event:
    """The event that a message holds. Where its own id is in headers, which nobody signed, it is
    known by that of the message."""
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
    from cloudevents.core.exceptions import BaseCloudEventException
    from cloudevents.core.formats.json import JSONFormat

    try:
        event = from_http_event(HTTPMessage(dict(headers), body), JSONFormat())
    except AttributeError:  # the library takes JSON for an object
        raise WrongMessage(
            "it is no CloudEvent, but a list or a value: send one at a time"
        ) from None
    except (BaseCloudEventException, ValueError, KeyError, TypeError) as error:
        raise WrongMessage(f"it is no CloudEvent: {error}") from None
    data = event.get_data()
    if isinstance(data, bytes | str):
        try:
            data = json.loads(data)
        except ValueError:
            data = {"data": data if isinstance(data, str) else data.decode(errors="replace")}
    fields = {"type": event.get_type(), "source": event.get_source(), "id": event.get_id()}
    is_signed = "ce-specversion" not in headers
    return Event(
        f"{event.get_source()} {event.get_id()}" if is_signed else id_,
        fields | (data if isinstance(data, dict) else {"data": data}),
    )
