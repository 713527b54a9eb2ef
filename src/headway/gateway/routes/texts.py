"""Embeddings, reranking and classification: texts in, vectors or scores out."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import json_answer
from headway.gateway.api.errors import ApiError
from headway.gateway.api.wire import ClassifyRequest, EmbeddingRequest, RerankRequest, TextCall
from headway.gateway.http.body import off_loop, parsed
from headway.gateway.intake.asked import Urgency
from headway.gateway.intake.entrance import Admitted, Entrance
from headway.gateway.routes.inference import Inference, wrong
from headway.gateway.routes.vectors import (
    alike,
    as_base64,
    as_floats,
    class_of,
    number_of,
    scored,
    shortened,
    vector_of,
)
from headway.models.served import ServedModel
from headway.models.signature import BadItem, Signature, Task

MOST_INPUTS = 2048
"""Maximum number of inputs in one request, as in OpenAI's API."""
EMBED: tuple[Task, ...] = ("embed", "python")
CLASSIFY: tuple[Task, ...] = ("classify", "rerank", "python")
RERANK: tuple[Task, ...] = ("rerank", "embed", "python")
"""The tasks of models that can serve each endpoint."""

_embedding_decoder = msgspec.json.Decoder(EmbeddingRequest)
_rerank_decoder = msgspec.json.Decoder(RerankRequest)
_classify_decoder = msgspec.json.Decoder(ClassifyRequest)


class TextRoutes:
    """`/v1/embeddings`, `/v1/rerank` and `/v1/classify`, on models of the catalog."""

    def __init__(self, inference: Inference, entrance: Entrance) -> None:
        self._inference = inference
        self._entrance = entrance
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "rerank": self.rerank,
            "classify": self.classify,
        }

    async def embeddings(
        self, headers: Mapping[str, str], admitted: Admitted
    ) -> web.Response | None:
        """OpenAI's embeddings; None if the catalog does not have the model. Raises ApiError."""
        if not self._inference.serves_any:
            return None
        call = await _read(admitted.body, _embedding_decoder)
        if not self._inference.serves(call.model):
            return None
        urgency = self._urgency(headers, admitted, call)
        texts = _inputs(call.input)
        model = await self._inference.model_for(call.model, EMBED)
        if len(texts) > MOST_INPUTS:
            raise ApiError(
                400,
                f"input has {len(texts)} entries; send at most {MOST_INPUTS} at once.",
                code="invalid_value",
                param="input",
            )
        signature = await self._inference.described(model)
        prompt = _prompt(signature, call.prompt_name, texts)
        results, tokens = await self._run(model, texts, urgency, call, prompt)
        vectors = [vector_of(model, result) for result in results]
        if call.dimensions is not None:
            vectors = shortened(vectors, call.dimensions)
        encode = as_base64 if call.encoding_format == "base64" else as_floats
        data = [
            {"object": "embedding", "index": place, "embedding": encode(vector)}
            for place, vector in enumerate(vectors)
        ]
        return json_answer(
            {
                "object": "list",
                "data": data,
                "model": model.name,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    async def rerank(self, request: web.Request) -> web.Response:
        """Documents ranked by relevance. Raises ApiError."""
        return await self.rank(request.headers, await self._entrance.admit(request))

    async def rank(self, headers: Mapping[str, str], admitted: Admitted) -> web.Response:
        """Documents ranked by relevance, as in the APIs of Cohere and Jina. Raises ApiError."""
        call = await _read(admitted.body, _rerank_decoder)
        urgency = self._urgency(headers, admitted, call)
        model = await self._inference.model_for(call.model, RERANK)
        documents = [one if isinstance(one, str) else one.text for one in call.documents]
        scores, tokens = await self._scores(model, call.query, documents, urgency, call)
        best = sorted(range(len(documents)), key=lambda place: -scores[place])[: call.top_n]
        results: list[dict[str, Any]] = []
        for place in best:
            result: dict[str, Any] = {"index": place, "relevance_score": scores[place]}
            if call.return_documents:
                result["document"] = {"text": documents[place]}
            results.append(result)
        return json_answer(
            {
                "id": self._id("rerank"),
                "object": "list",
                "model": model.name,
                "results": results,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    async def classify(self, request: web.Request) -> web.Response:
        """The class of each text, as in vLLM. Raises ApiError."""
        admitted = await self._entrance.admit(request)
        call = await _read(admitted.body, _classify_decoder)
        urgency = self._urgency(request.headers, admitted, call)
        texts = _inputs(call.input)
        model = await self._inference.model_for(call.model, CLASSIFY)
        signature = await self._inference.described(model)
        results, tokens = await self._run(model, texts, urgency, call)
        data = [
            {"index": place, **class_of(model, result, signature)}
            for place, result in enumerate(results)
        ]
        return json_answer(
            {
                "id": self._id("classify"),
                "object": "list",
                "created": int(time.time()),
                "model": model.name,
                "data": data,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    # ---- running ----------------------------------------------------------------------------

    async def _scores(
        self,
        model: ServedModel,
        query: str,
        documents: Sequence[str],
        urgency: Urgency,
        call: TextCall,
    ) -> tuple[list[float], int]:
        """The relevance of each document, and the number of tokens of all.

        Scored by a model of pairs, or by the similarity of the vectors of query and document.
        """
        signature = await self._inference.described(model)
        if signature.task == "embed":
            prompts = signature.prompts
            ids = await self._ids(model, [query], call, "query", prompts.of_queries)
            ids += await self._ids(model, documents, call, "documents", prompts.of_documents)
            lengths = [one.shape[-1] for one in ids]
            results = await self._inference.run(model, ids, lengths, urgency)
            sought, *found = (vector_of(model, result) for result in results)
            scores = [alike(sought, vector, signature.similarity) for vector in found]
            return scores, sum(lengths)
        if signature.task == "python":
            pairs = [(query, document) for document in documents]
            lengths = [model.length_of(pair) for pair in pairs]
            results = await self._inference.run(model, pairs, lengths, urgency)
            return [number_of(model, result) for result in results], 0
        assert model.tokens is not None  # every other model takes texts
        most = _most(call, signature.max_tokens)
        try:
            encoded = await model.tokens.of_pairs(query, documents, most)
        except BadItem as error:
            raise _not_read(error, call, "documents") from None
        lengths = [pair.shape[1] for pair in encoded]
        results = await self._inference.run(model, encoded, lengths, urgency)
        rows = [scored(vector_of(model, result), signature.activation) for result in results]
        return [float(one[0]) for one in rows], sum(lengths)

    async def _run(
        self,
        model: ServedModel,
        texts: Sequence[Any],
        urgency: Urgency,
        call: TextCall,
        prompt: str | None = None,
    ) -> tuple[list[Any], int]:
        """A result for each text, and the number of tokens; 0 if the model has no tokenizer."""
        if model.tokens is None:
            lengths = [model.length_of(text) for text in texts]
            return await self._inference.run(model, texts, lengths, urgency), 0
        encoded = await self._ids(model, texts, call, "input", prompt)
        lengths = [ids.shape[-1] for ids in encoded]
        return await self._inference.run(model, encoded, lengths, urgency), sum(lengths)

    async def _ids(
        self,
        model: ServedModel,
        texts: Sequence[Any],
        call: TextCall,
        param: str,
        prompt: str | None,
    ) -> list[np.ndarray]:
        """Token ids of each text behind `prompt`. Raises ApiError 400."""
        assert model.tokens is not None and model.signature is not None
        most = _most(call, model.signature.max_tokens)
        try:
            if isinstance(texts[0], str):
                return await model.tokens.of_texts(texts, most, prompt)
            return model.tokens.of_ids(texts, most)
        except BadItem as error:
            raise _not_read(error, call, param) from None

    def _urgency(self, headers: Mapping[str, str], admitted: Admitted, call: TextCall) -> Urgency:
        urgency = self._inference.urgency(
            headers, admitted.caller, call.metadata, call.service_tier, call.user
        )
        if not admitted.batch:
            return urgency
        return replace(urgency, batch=admitted.batch, key_name=admitted.key_name)

    def _id(self, kind: str) -> str:
        return f"{kind}-{self._prefix}-{next(self._numbers)}"


async def _read(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    return await off_loop(lambda body: parsed(body, decoder), body)


def _inputs(given: Any) -> list[Any]:
    """Texts, or lists of token ids. Raises ApiError 400 for no input, or a mixture."""
    if isinstance(given, str):
        given = [given]
    if not given:
        raise _bad_input("input is empty; send at least one text")
    if all(isinstance(one, int) for one in given):
        given = [given]
    kinds = {type(one) for one in given}
    if kinds not in ({str}, {list}):
        raise _bad_input("input must be all texts, or all lists of token ids")
    for place, one in enumerate(given):
        if not one:
            raise _bad_input(f"entry {place} of input is empty")
        if isinstance(one, list) and not all(isinstance(token, int) for token in one):
            raise _bad_input(f"entry {place} of input must hold only token ids")
    texts: list[Any] = given
    return texts


def _not_read(error: BadItem, call: TextCall, param: str) -> ApiError:
    """A text is too long, or no text."""
    advice = "" if call.truncate_prompt_tokens is not None else _ADVICE
    return wrong(BadItem(f"{error}{advice}"), param)


_ADVICE = ", or send truncate_prompt_tokens: -1 to have it cut"


def _bad_input(message: str) -> ApiError:
    return ApiError(400, f"{message}.", code="invalid_value", param="input")


def _most(call: TextCall, most: int | None) -> int | None:
    """Tokens that texts are truncated to; None: longer ones are an error. Raises ApiError 400."""
    asked = call.truncate_prompt_tokens
    if asked is None:
        return None
    if asked == -1:
        return most
    if asked < 3 or (most is not None and asked > most):
        raise ApiError(
            400,
            f"truncate_prompt_tokens must be -1 or 3 to {most or 'any number'}.",
            code="invalid_value",
            param="truncate_prompt_tokens",
        )
    return asked


def _prompt(signature: Signature, name: str | None, texts: Sequence[Any]) -> str | None:
    """The prompt of that name. Raises ApiError 400 if there is none, or no text to write it to."""
    if name is None:
        return None
    try:
        if not isinstance(texts[0], str):
            raise BadItem("prompt_name is for texts, and token ids were sent")
        return signature.prompts.named(name)
    except BadItem as error:
        raise wrong(error, "prompt_name") from None
