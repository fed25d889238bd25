"""Admission control: load shedding by queued tokens and by bytes of unsent attention.

The queue is bounded in tokens. Requests of at most one batch have an additional reserve, so that a client that sends
thousands of texts does not block clients that send one. Attention and token embeddings of requests whose response is
not sent yet are bounded in bytes.
"""

from dataclasses import dataclass
from math import ceil

from service import limits
from service.engine.items import EngineRequest
from service.errors import Overloaded

DECAY_AFTER_S = 10.0
"""Busy time after which the tokens and seconds counted so far are halved."""


class ThroughputEstimator:
    """Throughput in tokens per second of busy time. Not thread-safe: the engine holds its lock around each call."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._busy_since = 0.0

    def mark_busy(self, now: float) -> None:
        """Record the start of work after idle time, which does not count."""
        self._busy_since = now

    def record(self, tokens: int, now: float) -> None:
        """Record a finished batch of `tokens`; other batches may still run."""
        self._tokens += tokens
        self._seconds += now - self._busy_since
        self._busy_since = now
        if self._seconds > DECAY_AFTER_S:
            self._tokens /= 2
            self._seconds /= 2

    def retry_after_s(self, tokens: int) -> int:
        """Return the estimated time to process `tokens`, in whole seconds from 1 to `limits.MAX_RETRY_AFTER_S`."""
        expected = tokens * self._seconds / self._tokens if self._tokens else 0.0
        return min(limits.MAX_RETRY_AFTER_S, max(1, ceil(expected)))


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Maximum queued `tokens`, and maximum `attention_bytes` (token embeddings included) of requests whose response is
    not sent yet.

    A request larger than the queue is admitted when the queue is empty; attention over the limit, when no other
    attention is reserved.
    Requests of at most `small_request_tokens` are small.
    """

    tokens: int
    attention_bytes: int
    small_request_tokens: int


class Admission:
    """Counter of admitted tokens and reserved bytes. Not thread-safe: the queue holds its lock around each call."""

    def __init__(self, limits: QueueLimits) -> None:
        self.throughput = ThroughputEstimator()
        self._limits = limits
        self._small_tokens = 0
        self._reserved_attention_bytes = 0

    def has_capacity(self, tokens: int, *, waiting_tokens: int) -> bool:
        """Return True if a request of `tokens` would be admitted while `waiting_tokens` are queued."""
        small = tokens <= self._limits.small_request_tokens
        fits_reserve = small and self._small_tokens + tokens <= self._limits.tokens // limits.SMALL_RESERVE_DIVISOR
        return not waiting_tokens or waiting_tokens + tokens <= self._limits.tokens or fits_reserve

    def admit(
        self, request: EngineRequest, tokens: int, attention_bytes: int, *, waiting_tokens: int, outstanding_tokens: int
    ) -> None:
        """Count a request in, until it is `on_completed` and `on_response_sent`; `outstanding_tokens` tokens wait or
        run. Raises Overloaded."""
        reserved_bytes = self._reserved_attention_bytes + attention_bytes
        if attention_bytes and self._reserved_attention_bytes and reserved_bytes > self._limits.attention_bytes:
            raise self.overloaded(outstanding_tokens, "attention memory limit reached by other requests; retry later")
        if not self.has_capacity(tokens, waiting_tokens=waiting_tokens):
            raise self.overloaded(outstanding_tokens)
        request.small_tokens = tokens if tokens <= self._limits.small_request_tokens else 0
        request.attention_bytes = attention_bytes
        self._small_tokens += request.small_tokens
        self._reserved_attention_bytes += attention_bytes

    def on_completed(self, request: EngineRequest) -> None:
        """Release the request's queue share; its reserved attention bytes are held until `on_response_sent`."""
        self._small_tokens -= request.small_tokens
        request.small_tokens = 0

    def on_response_sent(self, request: EngineRequest) -> None:
        """Release the request's reserved attention bytes."""
        self._reserved_attention_bytes -= request.attention_bytes
        request.attention_bytes = 0

    def overloaded(self, outstanding_tokens: int, message: str = "the queue is full") -> Overloaded:
        return Overloaded(message, self.throughput.retry_after_s(outstanding_tokens))
