"""The workers of workflows whose runs the console shows."""

from __future__ import annotations

import os
import re

from pydantic import field_validator, model_validator

from headway.config.section import Section, check_secret_variable


class WorkerConfig(Section):
    """One `headway worker` that serves its API (`--port`)."""

    url: str
    """Its address, such as http://127.0.0.1:8090."""
    name: str = "worker"
    """Its name in the console."""
    tenant: str | None = None
    """Whose runs they are; null: only admins see them."""
    key_env: str | None = None
    """Environment variable that holds the worker's HEADWAY_WORKER_KEY; null: it asks for none."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/?#@\s]+/?", url):
            shown = "it" if "@" in url else repr(url)  # there may be a password in it
            raise ValueError(f"{shown} is no address of a worker; write http://HOST:PORT")
        return url.rstrip("/")

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(r"[\w.-]{1,64}", name):
            raise ValueError(f"{name!r} is no name; write letters, digits, dots and dashes")
        return name

    @model_validator(mode="after")
    def _has_its_key(self) -> WorkerConfig:
        check_secret_variable(self.key_env, "key_env", "HEADWAY_WORKER_KEY")
        return self

    def key(self) -> str | None:
        """The key to send, from the environment."""
        return None if self.key_env is None else os.environ[self.key_env]
