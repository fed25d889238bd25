"""Unit tests of the load tests' parts."""

import itertools
import json
import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from loadtests import arrivals, batch_metrics, server_timing
from loadtests.histogram import Histogram, merge_histograms
from loadtests.payloads import texts
from loadtests.payloads.workload import Request, Workload, generate_requests
from loadtests.phases import LoadPlan, Phase, PhaseResult, soak, spike, steady, steps
from loadtests.recorder import Recorder, TimeBucket
from loadtests.report.knee import knee
from loadtests.response_validation import ResponseValidator
from loadtests.search import MaxRateSearch
from loadtests.slo import Slo, SloError
from tests.loadtests.stub_server import ANSWER

WORKLOAD = Workload("text-model", "image-model", image_share=0.3, attention_share=0.5)


def test_seed_determines_texts_and_lengths() -> None:
    first, again, other = (list(itertools.islice(texts.generate_texts(seed), 300)) for seed in (1, 1, 2))
    assert first == again != other
    words = [len(text.split()) for text in first]
    assert min(words) >= texts.MIXED[0]
    assert max(words) < texts.MIXED[1]
    assert len(set(words)) > 30


@pytest.mark.parametrize("words", [texts.SHORT, texts.LONG])
def test_text_length_is_in_range(words: tuple[int, int]) -> None:
    for text in itertools.islice(texts.generate_texts(0, words), 50):
        assert words[0] <= len(text.split()) < words[1]


def test_seed_and_user_determine_requests() -> None:
    first, again, other_user, other_seed = (
        [each.body for each in itertools.islice(generate_requests(WORKLOAD, seed, user), 60)]
        for seed, user in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert first == again
    for other in (other_user, other_seed):
        assert len(set(first) & set(other)) < 5, "pictures are drawn from few"


def test_workload_follows_shares() -> None:
    drawn = list(itertools.islice(generate_requests(WORKLOAD, 0, 0), 1_000))
    images = [each for each in drawn if each.name.startswith("image")]
    assert 0.25 < len(images) / len(drawn) < 0.35
    assert 0.45 < sum(each.has_attention for each in drawn) / len(drawn) < 0.55
    for each in drawn[:50]:
        fields = json.loads(each.body)
        assert fields["model"] == ("image-model" if each.name.startswith("image") else "text-model")
        assert ("attention" in fields) == each.has_attention == each.name.endswith("with attention")


@pytest.mark.parametrize("pattern", ["poisson", "constant"])
def test_arrival_times_follow_rate(pattern: arrivals.ArrivalPattern) -> None:
    times = list(itertools.islice(arrivals.arrival_times(200, 10.0, pattern, random.Random(0)), 20_000))
    gaps = np.diff(times)
    assert times[0] >= 10
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    # Of a Poisson process gaps deviate by as much as they are long.
    assert gaps.std() == pytest.approx(1 / 200 if pattern == "poisson" else 0, rel=0.05, abs=1e-9)


def test_percentile_error_is_within_one_percent() -> None:
    times = np.random.default_rng(0).lognormal(3, 1, 50_000)
    whole, parts = Histogram(), [Histogram() for _ in range(3)]
    for i, ms in enumerate(times):
        whole.add(ms)
        parts[i % 3].add(ms)
    for share in (0.5, 0.9, 0.99, 0.999):
        assert whole.percentile(share) == pytest.approx(np.quantile(times, share), rel=0.02)
        assert merge_histograms(parts).percentile(share) == whole.percentile(share)
    assert whole.mean == pytest.approx(times.mean(), rel=0.01)
    assert Histogram(whole.dump()).percentile(0.5) == whole.percentile(0.5)
    assert (Histogram().percentile(0.99), Histogram().mean, Histogram().maximum) == (0, 0, 0)


def test_bucket_counts_by_intended_start() -> None:
    now = [100.0]
    recorder = Recorder(clock=lambda: now[0])
    recorder.record_offered(1, 100.9)
    now[0] = 100.95
    recorder.record_sent(1, 100.9)
    recorder.record_offered(2, 101.1)
    recorder.record_failed(2, 101.1, "status 500")
    now[0] = 104.9
    recorder.record_completed(1, 100.9, "text", 4_000, {"queue": 3_990}, completed_in=2)
    recorder.record_dropped(2, 101.2)
    first, second, late = recorder.by_second().values()
    assert first.latency["text"].percentile(1) == pytest.approx(4_000, rel=0.01)
    assert first.schedule_delay.percentile(0.99) == pytest.approx(50, rel=0.02)
    assert (second.offered, second.dropped, second.problems) == (2, 1, {"status 500": 1})
    assert (first.completed, late.completed) == (0, 1), "an answer counts for a rate when it comes"
    assert (first.not_ok, second.not_ok, second.in_flight) == (0, 2, 0)
    assert (recorder.totals_of(1).offered, recorder.totals_of(2).offered, recorder.totals_of(3).offered) == (1, 2, 0)


def test_master_merges_worker_buckets() -> None:
    workers, master = [Recorder(clock=lambda: 50.0) for _ in range(2)], Recorder(clock=lambda: 50.0)
    for i in range(10):
        for worker in workers:
            worker.record_offered(1, 50 + i)
            worker.record_completed(1, 50 + i, "text", 10, {"total": 9}, completed_in=1)
            if i % 4 == 0:
                master.merge(worker.take_pending())
    for worker in workers:
        master.merge(worker.take_pending())
        assert worker.take_pending() == [], "once taken it is not taken again"
    found = master.totals_of(1)
    assert found.offered == found.completed == found.latency["text"].count == found.stages["total"].count == 20


@pytest.mark.parametrize(
    ("text", "holds", "misses"),
    [
        ("p99=50ms", 40, 60),
        ("p99.9=0.05s", 40, 60),
        ("mean<=50ms,fail=0", 40, 60),
        ("max=50ms", 40, 60),
    ],
)
def test_slo_detects_violations(text: str, holds: float, misses: float) -> None:
    assert not Slo.parse(text).violations(make_bucket(holds), 1)
    assert len(Slo.parse(text).violations(make_bucket(misses), 1)) == 1


def make_bucket(ms: float, *, right: int = 100, failed: int = 0, unsent: int = 0, unanswered: int = 0) -> TimeBucket:
    """Make a bucket of `right` answers, all with a latency of `ms`, and of requests that failed."""
    second = TimeBucket(offered=right + failed + unsent + unanswered, dropped=unsent, completed=right)
    for _ in range(right):
        second.latency.setdefault("text", Histogram()).add(ms)
    second.problems["status 429"] += failed
    return second


@pytest.mark.parametrize("lost", [{"failed": 1}, {"unsent": 1}, {"unanswered": 1}])
def test_not_ok_requests_count_as_slowest(lost: dict[str, int]) -> None:
    assert Slo.parse("fail=0").violations(make_bucket(1, **lost), 1)
    assert not Slo.parse("fail=1%,p95=50ms").violations(make_bucket(1, right=99, **lost), 1)
    assert Slo.parse("p99.5=50ms").violations(make_bucket(1, right=99, **lost), 1)
    assert Slo.parse("max=50ms").violations(make_bucket(1, **lost), 1)
    assert Slo.parse("rate=100").violations(make_bucket(1, right=99, **lost), 1)
    assert not Slo.parse("rate=100").violations(make_bucket(1), 1)


def test_search_fails_fast_rejections() -> None:
    search = MaxRateSearch(10, 10, Slo.parse("p99=50ms"))
    search.on_phase_end(PhaseResult(Phase("trial", 10, 10), 0, 0, 10, make_bucket(1, right=10, failed=90)))
    assert (search.max_passing_rate, search.min_failing_rate) == (None, 10)


def test_slo_fails_without_responses() -> None:
    assert Slo.parse("p99=50ms").violations(TimeBucket(), 1)
    assert not Slo.parse("").violations(TimeBucket(), 1)


@pytest.mark.parametrize("text", ["p99", "p99=50", "p99=50%", "fail=1ms", "q99=5ms", "p99=-1ms", "p99=50ms;fail=0"])
def test_invalid_slo_is_rejected(text: str) -> None:
    with pytest.raises(SloError, match="examples:"):
        Slo.parse(text)


@pytest.mark.parametrize(
    ("plan", "levels"),
    [
        (steady(10, 60), [10]),
        (steps(10, 60, 4), [2.5, 5, 7.5, 10]),
        (spike(10, 60, 3), [10, 30, 10]),
        (soak(10, 60, 3), [10, 10, 10]),
    ],
)
def test_phases_sum_to_run_time(plan: LoadPlan, levels: list[float]) -> None:
    phases = list(plan.phases())
    assert [phase.level for phase in phases] == levels
    assert sum(phase.seconds or 0 for phase in phases) == pytest.approx(60)


def run_search(latency: Callable[[float], float], start: float) -> tuple[MaxRateSearch, list[float]]:
    """A search against a server with that latency at that rate."""
    search, tried = MaxRateSearch(start, 10, Slo.parse("p99=50ms,fail=0")), []
    for phase in search.phases():
        tried.append(phase.level)
        search.on_phase_end(PhaseResult(phase, 0, 0, 10, make_bucket(latency(phase.level))))
    return search, tried


@pytest.mark.parametrize("start", [1.0, 20.0, 300.0, 3_000.0])
def test_search_finds_knee_from_any_start(start: float) -> None:
    search, tried = run_search(lambda rate: 10 if rate < 170 else 500, start)
    assert search.max_passing_rate is not None
    assert 170 / 1.06 < search.max_passing_rate < 170
    assert len(tried) <= 16


def test_search_finds_no_passing_rate() -> None:
    search, _ = run_search(lambda _: 500, 100)
    assert search.max_passing_rate is None


def test_search_fails_trial_with_unanswered_requests() -> None:
    search = MaxRateSearch(10, 10, Slo.parse("p50=50ms"))
    search.on_phase_end(PhaseResult(Phase("trial", 10, 10), 0, 0, 10, make_bucket(1, unanswered=2)))
    assert (search.max_passing_rate, search.min_failing_rate) == (None, 10)


TEXT = Request("/", "text", b"", num_inputs=1, has_attention=False)
WITH_ATTENTION = Request("/", "text with attention", b"", num_inputs=1, has_attention=True)
TOKENS = [{"text": "a", "start": 0, "end": 1}] * 2


def response_body(embedding: object, **more: object) -> bytes:
    return json.dumps({"data": [{"embedding": embedding, **more}]}).encode()


@pytest.mark.parametrize(
    ("request_", "content", "problem"),
    [
        (TEXT, ANSWER, None),
        (TEXT, response_body([0.6, 0.8]), None),
        (TEXT, response_body([0.6, 0.9]), "not L2-normalized"),
        (TEXT, response_body([math.nan, 1]), "not finite"),
        (TEXT, response_body("AAA"), "malformed response"),
        (TEXT, b"{", "malformed response"),
        (TEXT, b"[]", "malformed response"),
        (
            WITH_ATTENTION,
            response_body([1.0], attention={"values": [1e308, 1e308], "tokens": TOKENS}),
            "malformed response",
        ),
        (TEXT, b"", "malformed response"),
        (TEXT, b'{"data": []}', "expected 1 embeddings"),
        (WITH_ATTENTION, response_body([1.0], attention={"values": [0.5, 0.5], "tokens": TOKENS}), None),
        (WITH_ATTENTION, response_body([1.0], attention={"values": [0.5, 0.6], "tokens": TOKENS}), "does not sum to 1"),
        (
            WITH_ATTENTION,
            response_body([1.0], attention={"values": [0.5, 0.3, 0.2], "tokens": TOKENS}),
            "differ in length",
        ),
        (WITH_ATTENTION, response_body([1.0]), "malformed response"),
    ],
)
def test_validator_detects_wrong_responses(request_: Request, content: bytes, problem: str | None) -> None:
    found = ResponseValidator().find_problem(request_, 200, content)
    assert found is None if problem is None else problem in str(found)


def test_validator_checks_dimensions() -> None:
    answers = ResponseValidator()
    assert answers.find_problem(TEXT, 200, response_body([1.0])) is None
    assert answers.find_problem(TEXT, 200, response_body([0.6, 0.8])) == "embedding has the wrong number of dimensions"
    assert (
        ResponseValidator(dimensions=3).find_problem(TEXT, 200, response_body([1.0]))
        == "embedding has the wrong number of dimensions"
    )
    assert ResponseValidator(unit_norm=False).find_problem(TEXT, 200, response_body([5.0])) is None
    assert ResponseValidator().find_problem(TEXT, 503, b"") == "status 503"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("preprocess;dur=0.41, queue;dur=0.02, total;dur=5.2", {"preprocess": 0.41, "queue": 0.02, "total": 5.2}),
        ('cache;desc="a hit";dur="1.5", miss', {"cache": 1.5}),
        ("broken;dur=fast, endless;dur=inf, fine;dur=1", {"fine": 1.0}),
        ("", {}),
    ],
)
def test_server_timing_is_parsed(header: str, found: dict[str, float]) -> None:
    assert server_timing.parse_server_timing(header) == found


def test_batch_sizes_are_counted_over_run() -> None:
    def scraped(*counts: int) -> batch_metrics.BucketCounts:
        edges = ("1.0", "2.0", "4.0", "+Inf")
        lines = [
            f'headlight_batch_size_bucket{{le="{edge}",model="{model}"}} {count}.0'
            for model in "ab"
            for edge, count in zip(edges, counts, strict=True)
        ]
        return batch_metrics.parse_buckets("\n".join(["# HELP", *lines, "headlight_batch_size_count 7"]))

    assert batch_metrics.batch_size_counts(scraped(1, 1, 1, 1), scraped(4, 4, 9, 10)) == {
        "1": 6,
        "3-4": 10,
        "over 4": 2,
    }
    assert batch_metrics.batch_size_counts({}, {}) == {}


def test_knee_is_where_curve_bends() -> None:
    rates = [10, 20, 30, 40, 50, 60]
    assert knee(rates, [5, 5, 6, 7, 60, 200]) == 40
    assert knee(rates, [10, 20, 30, 40, 50, 60]) is None
    assert knee(rates, [5] * 6) is None
    assert knee([10, 20], [1, 9]) is None
