"""The table of routes: every path with its types and its handler.

Routing, `405` with `Allow`, and the OpenAPI document are derived from it.
"""

from __future__ import annotations

from typing import Any

from headway.gateway.api import views, wire
from headway.gateway.api.batches import BatchList, BatchRequest, BatchView, FailedLines
from headway.gateway.api.history import HistoryPage, HistoryRequest
from headway.gateway.api.open_inference_wire import ModelMetadata, ServerMetadata
from headway.gateway.dialects.messages_request import CountTokensRequest, MessagesRequest
from headway.gateway.dialects.responses_request import ResponsesRequest
from headway.gateway.routes import runs
from headway.gateway.routes.files import PATH, DeletedFile, FileList, FileView
from headway.gateway.routes.history import HISTORY, PAGE_QUERY, ROWS_QUERY, SERIES_QUERY
from headway.gateway.routes.prompt_table import PROMPT_TABLE
from headway.gateway.routes.route import Route
from headway.models.open_inference import InferenceRequest, InferenceResponse
from headway.store.costs import GROUPS
from headway.store.history.series import Series

RESPONSE = "/v1/responses/{response_id}"
PAGES: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "order": {"enum": ["asc", "desc"]},
    "after": {"type": "string"},
}
FILES, FILE = PATH, f"{PATH}/{{file_id}}"
BATCHES, BATCH = "/v1/batches", "/v1/batches/{batch_id}"
UPLOAD: dict[str, dict[str, Any]] = {
    "purpose": {"const": "batch"},
    "file": {"type": "string", "format": "binary"},
}
FILE_PAGES: dict[str, dict[str, Any]] = {
    **PAGES,
    "limit": {"type": "integer", "minimum": 1, "maximum": 10_000},
    "purpose": {"type": "string"},
}
BATCH_PAGES = {"limit": PAGES["limit"], "after": PAGES["after"]}
LIMIT = {"limit": {"type": "integer", "minimum": 1, "maximum": 100_000}}
COSTS: dict[str, dict[str, Any]] = {
    "by": {"type": "string", "description": f"Some of {', '.join(GROUPS)}, with commas between"},
    "since": {"type": "string", "description": "ISO 8601, an age as 7d, or seconds since 1970"},
    "until": {"type": "string", "description": "The same"},
    "tenant": {"type": "string"},
    "run": {"type": "string"},
    **LIMIT,
}

TABLE: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/chat/completions",
        "generate",
        "Chat completion",
        wire.ChatRequest,
        scheduled=True,
        streams=True,
    ),
    Route(
        "POST",
        "/v1/completions",
        "generate",
        "Text completion",
        wire.CompletionRequest,
        scheduled=True,
        streams=True,
    ),
    Route(
        "POST",
        "/v1/responses",
        "responses",
        "OpenAI's Responses API",
        ResponsesRequest,
        wire.ResponseView,
        scheduled=True,
        streams=True,
    ),
    Route(
        "POST",
        "/v1/responses/input_tokens",
        "responses_tokens",
        "Number of tokens of a response's prompt",
        ResponsesRequest,
        wire.TokensView,
    ),
    Route("GET", RESPONSE, "response", "A kept response", None, wire.ResponseView),
    Route("DELETE", RESPONSE, "delete_response", "Delete a kept response", None, wire.DeletedView),
    Route(
        "GET",
        f"{RESPONSE}/input_items",
        "response_input",
        "The input of a kept response",
        None,
        wire.ItemsView,
        query=PAGES,
    ),
    Route(
        "POST",
        "/v1/messages",
        "messages",
        "Anthropic's Messages API",
        MessagesRequest,
        wire.MessageView,
        scheduled=True,
        streams=True,
    ),
    Route(
        "POST",
        "/v1/messages/count_tokens",
        "messages_tokens",
        "Number of tokens of a message's prompt",
        CountTokensRequest,
        wire.TokensView,
    ),
    Route("POST", FILES, "upload", "Upload a file of requests", None, FileView, form=UPLOAD),
    Route("GET", FILES, "files", "All files", None, FileList, query=FILE_PAGES),
    Route("GET", FILE, "file", "One file", None, FileView),
    Route("DELETE", FILE, "delete_file", "Delete a file", None, DeletedFile),
    Route(
        "GET",
        f"{FILE}/content",
        "file_content",
        "What is in a file",
        content_type="application/octet-stream",
    ),
    Route("POST", BATCHES, "create_batch", "Begin a batch", BatchRequest, BatchView),
    Route("GET", BATCHES, "batches", "All batches", None, BatchList, query=BATCH_PAGES),
    Route("GET", BATCH, "batch", "One batch", None, BatchView),
    Route(
        "GET",
        f"{BATCH}/errors",
        "batch_errors",
        "The first of its requests that failed",
        None,
        FailedLines,
        query={"limit": PAGES["limit"]},
    ),
    Route("POST", f"{BATCH}/cancel", "cancel_batch", "Cancel a batch", None, BatchView),
    Route("POST", f"{BATCH}/pause", "pause_batch", "Begin no more of its lines", None, BatchView),
    Route("POST", f"{BATCH}/resume", "resume_batch", "Let its lines begin again", None, BatchView),
    Route("POST", f"{BATCH}/retry", "retry_batch", "Run what failed in it again", None, BatchView),
    Route("POST", "/v1/embeddings", "embed", "Embeddings", wire.EmbeddingRequest, scheduled=True),
    Route(
        "POST",
        "/v1/rerank",
        "rerank",
        "Documents ranked by relevance to a query",
        wire.RerankRequest,
        scheduled=True,
    ),
    Route(
        "POST",
        "/v2/rerank",
        "rerank",
        "The same for Cohere's newer clients",
        wire.RerankRequest,
        scheduled=True,
    ),
    Route(
        "POST",
        "/v1/classify",
        "classify",
        "The class of each text",
        wire.ClassifyRequest,
        scheduled=True,
    ),
    Route(
        "POST",
        "/v1/models/{model:.+}:predict",
        "predict",
        "Predictions of a model for JSON instances",
        wire.PredictRequest,
        scheduled=True,
    ),
    Route("GET", "/v1/models", "models", "All available models", None, wire.ModelList),
    Route("GET", "/v1/models/{model:.+}", "model", "One model", None, wire.Model),
    Route(
        "GET",
        "/v1/headway/queue",
        "queue",
        "Which requests run, which wait, and why",
        None,
        views.QueueView,
        query=LIMIT,
    ),
    Route(
        "GET",
        "/v1/headway/costs",
        "costs",
        "What requests cost, and what may still be spent",
        None,
        views.CostsView,
        query=COSTS,
    ),
    Route(
        "GET",
        "/v1/headway/policy",
        "policy",
        "The policy in use, and what speaks for it",
        None,
        views.PolicyView,
    ),
    Route(
        "POST",
        "/v1/headway/predict",
        "predicted",
        "What is predicted of a chat, without sending it",
        wire.ChatRequest,
        views.PredictedChat,
        query={"policy": {"type": "string", "description": "Also predict its wait under this one"}},
    ),
    Route(
        "POST",
        "/v1/headway/policy",
        "use_policy",
        "Order by another policy, until the next start",
        views.PolicyChange,
        views.Operated,
    ),
    Route(
        "POST",
        "/v1/headway/requests/{request_id}/cancel",
        "cancel_request",
        "End a request that waits or runs",
        None,
        views.Operated,
    ),
    Route(
        "POST",
        "/v1/headway/requests/{request_id}/tier",
        "move_request",
        "Move a waiting request to another tier",
        views.TierChange,
        views.Operated,
    ),
    Route(
        "POST",
        "/v1/headway/backends/{backend}/drain",
        "drain_backend",
        "Send a backend no new requests; it finishes what it runs",
        None,
        views.Operated,
    ),
    Route(
        "POST",
        "/v1/headway/backends/{backend}/resume",
        "resume_backend",
        "Let a drained backend take requests again",
        None,
        views.Operated,
    ),
    Route(
        "GET",
        HISTORY,
        "history",
        "Requests that have ended, the newest first",
        None,
        HistoryPage,
        query=PAGE_QUERY,
    ),
    Route(
        "GET",
        f"{HISTORY}.csv",
        "history_csv",
        "The same as CSV, all of them",
        content_type="text/csv",
        query=ROWS_QUERY,
    ),
    Route(
        "GET",
        f"{HISTORY}/series",
        "history_series",
        "Latency, throughput, tokens and cost over time",
        None,
        Series,
        query=SERIES_QUERY,
    ),
    Route(
        "GET",
        f"{HISTORY}/{{request_id}}",
        "history_request",
        "The life of one request",
        None,
        HistoryRequest,
    ),
    *PROMPT_TABLE,
    *runs.ROUTES,
    Route(
        "GET",
        "/metrics",
        "metrics",
        "Prometheus metrics",
        content_type="text/plain",
    ),
    Route(
        "GET", "/", "status_page", "A page that shows backends and queue", content_type="text/html"
    ),
    Route("GET", "/healthz", "healthz", "Whether the process is alive", None, views.Health),
    Route("GET", "/readyz", "readyz", "Whether some backend can serve", None, views.Health),
    Route("GET", "/openapi.json", "openapi", "This document"),
    Route(
        "GET", "/docs", "docs", "A page that shows the OpenAPI document", content_type="text/html"
    ),
    Route(
        "GET",
        "/docs/swagger-ui.css",
        "docs_style",
        "The style sheet of that page",
        content_type="text/css",
    ),
    Route(
        "GET",
        "/docs/swagger-ui-bundle.js",
        "docs_script",
        "The script of that page",
        content_type="text/javascript",
    ),
    # ---- the Open Inference Protocol -----------------------------------------------------------
    Route(
        "GET",
        "/v2",
        "v2_server",
        "Name, version and extensions of the server",
        None,
        ServerMetadata,
    ),
    Route("GET", "/v2/health/live", "v2_live", "Whether the process is alive"),
    Route("GET", "/v2/health/ready", "v2_ready", "Whether models are served"),
    Route("POST", "/v2/repository/index", "v2_index", "All models and their state"),
    Route(
        "POST",
        "/v2/repository/models/{model}/{verb:load|unload}",
        "v2_load",
        "Load or unload a model",
    ),
    Route("GET", "/v2/models/stats", "v2_stats", "Statistics of all models"),
    Route(
        "GET",
        "/v2/models/{model}",
        "v2_model",
        "Inputs and outputs of a model",
        None,
        ModelMetadata,
    ),
    Route(
        "GET",
        "/v2/models/{model}/versions/{version}",
        "v2_model",
        "Inputs and outputs of a version",
        None,
        ModelMetadata,
    ),
    Route("GET", "/v2/models/{model}/ready", "v2_model_ready", "Whether a model can run"),
    Route(
        "GET",
        "/v2/models/{model}/versions/{version}/ready",
        "v2_model_ready",
        "Whether a version can run",
    ),
    Route("GET", "/v2/models/{model}/stats", "v2_stats", "Statistics of a model"),
    Route(
        "GET",
        "/v2/models/{model}/versions/{version}/stats",
        "v2_stats",
        "Statistics of a version",
    ),
    Route("GET", "/v2/models/{model}/config", "v2_config", "A model's configuration"),
    Route(
        "GET",
        "/v2/models/{model}/versions/{version}/config",
        "v2_config",
        "A version's configuration",
    ),
    Route(
        "POST",
        "/v2/models/{model}/infer",
        "v2_infer",
        "Tensors in, tensors out",
        InferenceRequest,
        InferenceResponse,
        scheduled=True,
    ),
    Route(
        "POST",
        "/v2/models/{model}/versions/{version}/infer",
        "v2_infer",
        "Tensors in, tensors out, of a version",
        InferenceRequest,
        InferenceResponse,
        scheduled=True,
    ),
)
