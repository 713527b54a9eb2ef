"""Any OpenAI-compatible server: requests are forwarded unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import msgspec

from headway.engines.endpoint import Endpoint
from headway.engines.engine import Delta, Description, EngineError, Generation
from headway.engines.http_client import Forwarded, HttpClient
from headway.engines.trial_answer import trial_fault, trial_request

PROBE_TEXT = "The quick brown fox 123,456: naïve façade 日本語 😀🦄\n\tdef f(x): return x**2"
"""Its token ids are the fingerprint of a vocabulary: other vocabularies give other ids."""

MEDIA = frozenset(("image", "audio"))
"""What models may take beside text."""

_FAILED_TRIAL = frozenset((401, 403, 408, 429))


class OpenAIEngine:
    """Pass-through client: forwards requests, but cannot stop and continue a generation."""

    def __init__(
        self, endpoint: Endpoint, *, kind: str = "openai", keep_alive: bool = True
    ) -> None:
        """`kind` is the server's software, as in `Description.engine`."""
        self.name = endpoint.name
        self.url = endpoint.url
        self.kind = kind
        self._own_names = endpoint.models
        self._configured_inputs = endpoint.inputs
        self._models_url = endpoint.address("models")
        self._http = HttpClient(endpoint, keep_alive=keep_alive)

    async def describe(self) -> Description:
        """Requests its list of models. Raises BackendGone if it does not answer or lists none."""
        listed = await self._models()
        return Description(
            models=self._names(listed),
            own_names=self._own_names,
            slots=None,
            embeddings=True,
            engine=self.kind,
            inputs=self._inputs(listed, inputs_of(listed)),
        )

    async def check(self) -> None:
        """Requests its list of models. Raises BackendGone."""
        status, _ = await self._http.fetch("models")
        if status >= 500 or (status == 404 and not self._own_names):
            raise self._http.gone(f"it answered {status}")

    async def trial(self, model: str, limit_s: float) -> None:
        """Requests a few tokens from `model`.

        An error that blames the request is a success, as the server does handle requests. Raises
        EngineError or BackendGone if it cannot serve any client.
        """
        body = trial_request(self._own_name(model))
        status, answer = await self._http.fetch("chat/completions", body, timeout_s=limit_s)
        if status in _FAILED_TRIAL or status >= 502 or status == 500:
            raise EngineError(status, answer, f"{self.name} answered a trial with {status}")
        if status == 200:
            fault = trial_fault(answer)
            if fault is not None:
                raise EngineError(502, answer, f"{self.name} answered a trial with {fault}")

    def generate(self, generation: Generation) -> AsyncIterator[Delta]:
        """Not supported: `Description.exact_resume` is False."""
        raise EngineError.invalid(f"{self.name} cannot continue a generation; forward it instead")

    async def prefill(self, generation: Generation, tokens: int) -> bool:
        """Nothing to do: `generate` computes whole prompts."""
        return False

    async def prompt_tokens(self, generation: Generation) -> int | None:
        """Always None, as OpenAI's API has no tokenizer."""
        return None

    async def forward(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Forwarded:
        """Post `body` to `path`, as in `Endpoint.address`.

        Raises BackendGone if there is no response.
        """
        return await self._http.open(path, body, headers)

    async def close(self) -> None:
        """Close every connection; pending reads get BackendGone."""
        await self._http.close()

    async def _models(self) -> list[ListedModel]:
        status, body = await self._http.fetch("models")
        if status == 429 and not self._own_names:
            raise EngineError(status, body, f"{self.name} answered {status} to GET /v1/models")
        if status in (401, 403):
            raise self._http.gone(f"it answered {status}; check the API key of this backend")
        if status != 200:
            if self._own_names:
                return []
            raise self._http.gone(
                f"GET {self._models_url} answered {status}; name its models yourself"
            )
        try:
            return msgspec.json.decode(body, type=ListedModels).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._http.gone(f"GET {self._models_url} is not an OpenAI model list") from None

    def _names(self, listed: list[ListedModel]) -> tuple[str, ...]:
        names = tuple(self._own_names) or tuple(model.id for model in listed)
        if not names:
            raise self._http.gone("it lists no models; load one, or name its models yourself")
        return names

    def _inputs(
        self, listed: list[ListedModel], reported: Mapping[str, frozenset[str]]
    ) -> Mapping[str, frozenset[str]]:
        """What its models take beside text: as configured, else as reported."""
        configured = self._configured_inputs
        if configured is None:
            return reported
        return {self._own_name(name): configured for name in self._names(listed)}

    def _own_name(self, model: str) -> str:
        """The server's own name of `model`."""
        return self._own_names.get(model, model)

    async def _embeds(self, model: str) -> bool:
        """Whether it answers an embeddings request."""
        asked = {"model": model, "input": "probe"}
        return await self._http.ask("embeddings", dict, asked) is not None


class ListedModel(msgspec.Struct):
    """One entry of the list of models."""

    id: str
    owned_by: str = ""
    max_model_len: msgspec.Raw = msgspec.Raw(b"null")
    """vLLM's context length."""
    architecture: msgspec.Raw = msgspec.Raw(b"null")
    """Says what the model takes, where a server does: llama.cpp, OpenRouter and Headway do."""


class ListedModels(msgspec.Struct):
    """The list of models."""

    data: list[ListedModel]


class _Architecture(msgspec.Struct):
    input_modalities: list[str] = []


def inputs_of(listed: list[ListedModel]) -> dict[str, frozenset[str]]:
    """What models take beside text, by their names, as far as the list says it."""
    found: dict[str, frozenset[str]] = {}
    for model in listed:
        try:
            said = msgspec.json.decode(model.architecture, type=_Architecture | None)
        except msgspec.ValidationError:  # something else is called so there
            continue
        if said is not None:
            found[model.id] = MEDIA.intersection(said.input_modalities)
    return found


async def refusal(response: Forwarded) -> EngineError:
    """The exception for an error response. Raises BackendGone."""
    body = await response.read()
    response.close()
    try:
        message = msgspec.json.decode(body, type=_ErrorBody).error.message
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = body[:200].decode(errors="replace")
    return EngineError(response.status, body, message, response.headers)


class _Error(msgspec.Struct):
    message: str = "the engine gave no reason"


class _ErrorBody(msgspec.Struct):
    error: _Error
