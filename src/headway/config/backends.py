"""The servers behind Headway."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from headway.config.section import (
    Count,
    Section,
    check_secret_variable,
)

EMBEDDED = "embedded"
"""Name of the embedded engine among the backends."""


class BackendConfig(Section):
    """One OpenAI-compatible server behind Headway."""

    url: str
    """The base URL of its API; one without a path means `/v1`."""
    name: str | None = None
    """Its name in logs and metrics; else taken from the URL."""
    api_key: SecretStr | None = None
    api_key_env: str | None = None
    """Environment variable that holds the API key."""
    max_concurrency: Count | None = None
    """Requests it may run at once; else what it reports, else an adaptive limit."""
    first_byte_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """An answer must have begun after this time; null: learned, at least 60 s."""
    idle_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Longest time between two parts of an answer; null: learned, at least 60 s."""
    inputs: list[Literal["image", "audio"]] | None = None
    """What its models take beside text, for the console; null: what it reports."""
    models: dict[str, str] = Field({})
    """Models to offer from it, by the names that clients use; empty: all that it lists."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_http = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # of the port, or of an IPv6 address
            is_http = False
        if not is_http:
            shown = "it" if "@" in url else repr(url)  # there may be a password in it
            hint = f"; write http://{url}" if re.fullmatch(r"[\w.-]+:\d+(/\S*)?", url) else ""
            raise ValueError(f"{shown} is not an http:// or https:// URL{hint}")
        return url.rstrip("/")

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str | None) -> str | None:
        if name == EMBEDDED:
            raise ValueError(f"{name!r} is the name of the embedded engine; choose another")
        return name

    @field_validator("models", mode="before")
    @classmethod
    def _by_name(cls, models: object) -> object:
        """A list names models as the backend does."""
        if isinstance(models, list | tuple) and all(isinstance(name, str) for name in models):
            if patterns := [name for name in models if "*" in name]:
                raise ValueError(
                    f"{patterns[0]!r} needs the name of a model that it stands for: write "
                    f"models: {{{patterns[0]!r}: NAME}}"
                )
            return {name: name for name in models}
        return models

    @field_validator("models")
    @classmethod
    def _name_models(cls, models: dict[str, str]) -> dict[str, str]:
        return names_of_models(models)

    @model_validator(mode="after")
    def _one_key(self) -> BackendConfig:
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("set api_key or api_key_env, not both")
        if "@" in urlsplit(self.url).netloc and (self.api_key or self.api_key_env):
            raise ValueError("set an API key, or a user and password in url, not both")
        check_secret_variable(self.api_key_env, "api_key_env", "CLOUD_API_KEY")
        return self

    def secret(self) -> str | None:
        """The API key to send, from the configuration or the environment."""
        if self.api_key_env is not None:
            return os.environ[self.api_key_env]
        return self.api_key.get_secret_value() if self.api_key is not None else None


def names_of_models(aliases: dict[str, str]) -> dict[str, str]:
    """`aliases`, if each means one model. Raises ValueError."""
    for alias, model in aliases.items():
        if not alias or not model or "*" in model:
            raise ValueError(f"{alias!r}: {model!r} does not name one model; only aliases take *")
    return aliases
