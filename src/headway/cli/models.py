"""From settings to the models that answer whole batches."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.util import find_spec
from urllib.parse import urlsplit

from headway.config.models import ModelConfig
from headway.config.settings import Settings
from headway.core.batching import BatchingSettings, Limits, TierBatching
from headway.core.batching.settings import RARE
from headway.core.request import Tier
from headway.extras import install_extra
from headway.machine import usable_cores
from headway.models.catalog import Catalog
from headway.models.instances import Instances
from headway.models.open_inference_server import OpenInferenceServer
from headway.models.predict_server import PredictServer
from headway.models.remote import RemoteModel
from headway.models.scaler import Scaler
from headway.models.served import Backing, ServedModel
from headway.models.source import BUILT_IN, ModelSource, source_of

logger = logging.getLogger(__name__)

NEEDED = ("onnxruntime", "onnx", "safetensors", "tokenizers")
"""By the built-in model."""


def catalog_of(settings: Settings) -> Catalog:
    """The models to serve.

    Raises:
        headway.models.signature.ModelFailure: one of them is not there.
    """
    configured = settings.models
    if configured is None:
        there = all(find_spec(name) is not None for name in NEEDED)
        if not there:
            logger.info("%s is not served: run %s", BUILT_IN, install_extra("models"))
        # On the first request: a gateway that only serves chats does not pay for it.
        built_in = ModelConfig(name=BUILT_IN, path=BUILT_IN, preload=False)
        configured = (built_in,) if there else ()
    return Catalog(
        [_served(model, settings) for model in configured],
        frozenset(model.name for model in configured if model.preload),
    )


def backing_of(model: ModelConfig) -> Backing:
    """The backing that runs the batches of `model`.

    Raises:
        headway.models.signature.ModelFailure: it is not there.
    """
    return _backing(model, source_of(model.path))


def _backing(model: ModelConfig, source: ModelSource) -> Backing:
    if source.kind == "server":
        return _remote(source.location, model)
    threads = model.threads or max(1, usable_cores() // model.most_instances)
    return Instances(source, model.least_instances, threads)


def _remote(url: str, model: ModelConfig) -> RemoteModel:
    """A URL without a path is that of the server, and the model has its own name there."""
    path = urlsplit(url).path
    if path in ("", "/"):
        url = f"{url.rstrip('/')}/v2/models/{model.name}"
    dialect = PredictServer() if path.startswith("/v1/") else OpenInferenceServer()
    return RemoteModel(url, dialect, model.most_instances)


def _served(model: ModelConfig, settings: Settings) -> ServedModel:
    source = source_of(model.path)
    scheduler = settings.scheduler()
    reads_texts = source.kind in ("text", "built-in")
    upper = TierBatching(model.batching, max_delay_s=model.max_delay_s, slo_s=model.slo_s)
    tiers = {
        tier: replace(of, queue=scheduler.tiers[tier])
        for tier, of in ((Tier.INTERACTIVE, upper), (Tier.STANDARD, upper), (Tier.BATCH, RARE))
    }
    batching = BatchingSettings(
        limits=Limits(
            model.max_batch_size, model.batch_sizes, model.batch_lengths, model.max_batch_tokens
        ),
        tiers=tiers,
        length_aware=reads_texts if model.length_aware is None else model.length_aware,
        tier_mode=settings.tier_mode,
        fairness=settings.fairness,
        tenant_weights=settings.tenant_weights,
        max_queue=settings.max_queue,
    )
    backing, scaler = _backing(model, source), None
    if isinstance(backing, Instances) and model.most_instances > model.least_instances:
        scaler = Scaler(model.name, backing, model.most_instances, model.instance_idle_s)
    return ServedModel(
        model.name, backing, batching, model.unload_after_s, model.length_unit, scaler
    )
