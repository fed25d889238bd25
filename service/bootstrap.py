"""Bootstrap: builds the state of an app from its settings."""

import logging
from concurrent.futures import ThreadPoolExecutor

from service import limits
from service.app_state import AppState
from service.cpu import concurrent_batches
from service.engine.admission import QueueLimits
from service.engine.engine import Engine
from service.http.auth import ApiKeyStore
from service.model_loader import CPU_BATCH_TOKENS, batch_limits, load_models, warm_up
from service.ops.access_log import AccessLog
from service.ops.metrics import Metrics
from service.ops.tracing import Tracing
from service.pipeline.model_registry import ModelRegistry
from service.runtime.providers import CPU
from service.settings import Settings

logger = logging.getLogger(__name__)

GPU_CONCURRENT_BATCHES = 2
"""Batches at a time on a GPU: one computes while the other is packed or handed out."""

PREFERRED_BATCH_TOKENS = 64
"""Tokens below which a batch takes 1.05 to 1.5 times as long per token on CPU, so that it may be delayed to grow."""


def open_state(settings: Settings) -> AppState:
    """Verify, open and warm up every model, then start the engine.

    Raises ArtifactError or ProviderUnavailable: a service that cannot serve all it was given must not start.
    """
    threads = settings.intra_op_threads()
    models = load_models(settings)
    on_cpu = any(encoder.provider == CPU for encoder in models.values())
    in_flight = concurrent_batches(threads) if on_cpu else GPU_CONCURRENT_BATCHES
    batches = {name: batch_limits(encoder, settings, in_flight) for name, encoder in models.items()}
    workspace = settings.attention_workspace_bytes
    slowest_run_s = max(warm_up(encoder, batches[name], workspace) for name, encoder in models.items())
    metrics = Metrics()
    for name, encoder in models.items():
        metrics.model_info.labels(name, encoder.provider, encoder.manifest.precision).set(1)
    engine = Engine(
        models,
        limits=QueueLimits(
            tokens=settings.max_queue_tokens,
            attention_bytes=limits.MAX_OUTSTANDING_ATTENTION_RESPONSES * settings.max_attention_bytes,
            small_request_tokens=max(CPU_BATCH_TOKENS, *(encoder.max_positions for encoder in models.values())),
        ),
        batch_limits=batches,
        metrics=metrics,
        concurrent_batches=in_flight,
        preferred_batch_tokens=PREFERRED_BATCH_TOKENS
        if all(encoder.provider == CPU for encoder in models.values())
        else 0,
        hung_after_s=max(limits.WATCHDOG_MIN_S, limits.WATCHDOG_FACTOR * slowest_run_s),
        cache_bytes=settings.cache_bytes,
    )
    metrics.engine_alive.set_function(lambda: engine.alive)
    tokenizer_pool, image_pool = (
        ThreadPoolExecutor(threads, f"headlight-{pool}") for pool in ("tokenizing", "decoding")
    )
    logger.info("serving: models=%s", ", ".join(models))
    access_log = AccessLog() if settings.access_log else None
    api_keys = ApiKeyStore(tuple(key.get_secret_value() for key in settings.api_keys), settings.api_keys_file)
    return AppState(
        settings, ModelRegistry(models, engine), engine, metrics, tokenizer_pool, image_pool, api_keys,
        Tracing.from_env(), access_log,
    )  # fmt: skip
