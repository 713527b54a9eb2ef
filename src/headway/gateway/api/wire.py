"""The wire types: the known fields of requests, and Headway's own answers.

Unknown fields are passed through unchanged. Known fields are validated, so that errors name them.
The OpenAPI document is generated from these types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

TokenLimit = Annotated[int, Meta(ge=-1, le=1_000_000_000, extra_json_schema={"not": {"const": 0}})]
"""-1: no limit."""
Prompt = str | list[str | int | list[int]]


class StreamOptions(Struct):
    """Options of a streamed answer."""

    include_usage: bool | None = None


class ChatMessage(Struct):
    """One message; other fields are passed to the engine."""

    role: str
    content: str | list[dict[str, Raw]] | None = None


class PromptReference(Struct, kw_only=True, forbid_unknown_fields=True):
    """A registered prompt, as in OpenAI's API."""

    id: str
    """Its name."""
    version: str | int | None = None
    """A number or an alias; null: `production`, else the newest."""
    variables: dict[str, Any] | None = None
    """Values by name: texts, objects of the type `input_text`, or values of the declared types."""


class Call(Struct, kw_only=True):
    """Fields for scheduling, common to all endpoints."""

    model: str = "default"
    user: str | None = None
    """The tenant."""
    service_tier: str | None = None
    """`priority` means interactive, `flex` batch; unknown values mean the default tier."""
    priority: Annotated[int, Meta(ge=-(2**31), le=2**31)] | None = None
    """As in vLLM: smaller values run first, under the policy `priority`."""
    metadata: dict[str, Any] | None = None
    """Entries such as `headway_tier` have the same effect as the headers `x-headway-…`."""


class Sampling(Call, kw_only=True):
    """Fields of both kinds of text generation."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None

    def __post_init__(self) -> None:
        for name in ("max_completion_tokens", "max_tokens"):
            if getattr(self, name) == 0:
                raise ValueError(f"Expected -1 (no limit) or at least 1 - at `$.{name}`")

    @property
    def limit(self) -> int | None:
        """Maximum number of output tokens; None: no limit."""
        for limit in (self.max_completion_tokens, self.max_tokens):
            if limit is not None and limit > 0:
                return limit
        return None


class ChatRequest(Sampling, kw_only=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    tools: list[dict[str, Raw]] | None = None
    response_format: dict[str, Raw] | None = None


class CompletionRequest(Sampling, kw_only=True):
    """POST /v1/completions."""

    prompt: Prompt
    echo: bool | None = None


class TextCall(Call, kw_only=True):
    """Fields common to embeddings, reranking and classification."""

    truncate_prompt_tokens: Annotated[int, Meta(ge=-1)] | None = None
    """Tokens that longer texts are truncated to; -1: the model's limit. None: an error."""


class EmbeddingRequest(TextCall, kw_only=True):
    """POST /v1/embeddings."""

    input: Prompt
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    prompt_name: str | None = None
    """Which of the model's prompts is written before each text; null: its default one."""

    @property
    def limit(self) -> int | None:
        """Always 1: embeddings have no output tokens, and the answer counts as one."""
        return 1


class Document(Struct):
    """A document to rank."""

    text: str


class RerankRequest(TextCall, kw_only=True):
    """POST /v1/rerank, as in the APIs of Cohere and Jina."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | Document], Meta(min_length=1, max_length=2048)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool = False


class ClassifyRequest(TextCall, kw_only=True):
    """POST /v1/classify, as in vLLM."""

    input: str | list[str]


class PredictRequest(Struct):
    """POST /v1/models/NAME:predict, as in TensorFlow Serving and KServe."""

    instances: Annotated[list[Any], Meta(min_length=1, max_length=2048)]
    signature_name: str = ""


class HeadwayUsage(Struct, kw_only=True):
    """`usage.headway`: how the request was scheduled."""

    policy: str
    tier: str
    tenant: str
    backend: str
    queue_ms: float
    ttft_ms: float
    total_ms: float
    predicted_tokens: float
    output_tokens: int
    preemptions: int
    failovers: int
    preemptible: bool
    not_preemptible_because: str | None = None
    cost: float | None = None
    """In the currency of the prices; null: something it ran on has no price."""


class Usage(Struct, kw_only=True):
    """OpenAI's usage object, with Headway's part; a backend may omit what it does not count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: dict[str, int] | None = None
    headway: HeadwayUsage


class ResponseView(Struct, kw_only=True):
    """The response object of `/v1/responses`; only its most important fields."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete", "failed"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None


class DeletedView(Struct, kw_only=True):
    """A response that was deleted."""

    id: str
    object: Literal["response"]
    deleted: bool


class ItemsView(Struct, kw_only=True):
    """A page of a response's input."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class MessageView(Struct, kw_only=True):
    """The message of `/v1/messages`."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str
    stop_sequence: str | None
    usage: dict[str, Any]


class Counting(Struct, kw_only=True):
    """`headway` of a token count."""

    estimated: bool
    """Whether no backend could count: it is estimated from the prompt's length."""


class TokensView(Struct, kw_only=True):
    """The number of tokens of a prompt."""

    input_tokens: int
    headway: Counting


class MessagesErrorDetails(Struct, kw_only=True):
    """Error code and field, for programs."""

    error_code: str
    param: str | None


class MessagesErrorDetail(Struct, kw_only=True):
    """Anthropic's error object."""

    type: str
    message: str
    details: MessagesErrorDetails | UnsetType = UNSET


class MessagesErrorBody(Struct, kw_only=True):
    """The body of every error answer below `/v1/messages`."""

    type: Literal["error"]
    error: MessagesErrorDetail


class ErrorDetail(Struct, kw_only=True):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(Struct, kw_only=True):
    """The body of every error answer."""

    error: ErrorDetail


class Architecture(Struct, kw_only=True):
    """What a model takes, in the form of OpenRouter and llama.cpp."""

    input_modalities: list[str]
    """`text`, and `image` or `audio` where every backend of the model says that it takes it."""


class Model(Struct, kw_only=True):
    """One available model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "headway"
    architecture: Architecture


class ModelList(Struct, kw_only=True):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[Model]
