"""Tests of the estimated time until the queue is empty."""

from service import limits
from service.engine.admission import ThroughputEstimator


def test_retry_after_is_the_time_that_as_many_tokens_took() -> None:
    drain = ThroughputEstimator()
    assert drain.retry_after_s(10_000) == 1, "nothing is known yet"
    drain.mark_busy(100.0)
    drain.record(500, 101.0)
    drain.record(500, 102.0)
    assert drain.retry_after_s(5_000) == 10
    assert drain.retry_after_s(1) == 1
    assert drain.retry_after_s(10**9) == limits.MAX_RETRY_AFTER_S


def test_idleness_is_no_slowness_and_the_past_is_forgotten() -> None:
    drain = ThroughputEstimator()
    drain.mark_busy(0.0)
    drain.record(1_000, 1.0)
    drain.mark_busy(1_000.0)
    drain.record(1_000, 1_001.0)
    assert drain.retry_after_s(5_000) == 5
    for second in range(1_002, 1_100):
        drain.record(100, float(second))
    assert 40 <= drain.retry_after_s(5_000) <= 55, "it has become ten times slower"
