"""What load tests are made of, each part by itself."""

import itertools
import json
import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from loadtests import arrivals, batches, stages
from loadtests.answers import Answers
from loadtests.histogram import Histogram, merged
from loadtests.payloads import prose
from loadtests.payloads.mix import Mix, Request, requests
from loadtests.phases import Phase, Plan, Result, soak, spike, steady, steps
from loadtests.record import Recorder, Second
from loadtests.report.knee import knee
from loadtests.search import Search
from loadtests.slo import Slo, SloError
from tests.loadtests.stub import ANSWER

MIX = Mix("text-model", "image-model", image_share=0.3, attention_share=0.5)


def test_the_same_seed_gives_the_same_texts_of_the_lengths_asked_for() -> None:
    first, again, other = (list(itertools.islice(prose.texts(seed), 300)) for seed in (1, 1, 2))
    assert first == again != other
    words = [len(text.split()) for text in first]
    assert min(words) >= prose.MIXED[0]
    assert max(words) < prose.MIXED[1]
    assert len(set(words)) > 30


@pytest.mark.parametrize("words", [prose.SHORT, prose.LONG])
def test_prose_is_cut_to_the_word(words: tuple[int, int]) -> None:
    for text in itertools.islice(prose.texts(0, words), 50):
        assert words[0] <= len(text.split()) < words[1]


def test_the_same_seed_and_user_send_the_same_bytes() -> None:
    first, again, other_user, other_seed = (
        [each.body for each in itertools.islice(requests(MIX, seed, user), 60)]
        for seed, user in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert first == again
    for other in (other_user, other_seed):
        assert len(set(first) & set(other)) < 5, "pictures are drawn from few"


def test_shares_and_names_are_as_asked() -> None:
    drawn = list(itertools.islice(requests(MIX, 0, 0), 1_000))
    images = [each for each in drawn if each.name.startswith("image")]
    assert 0.25 < len(images) / len(drawn) < 0.35
    assert 0.45 < sum(each.attention for each in drawn) / len(drawn) < 0.55
    for each in drawn[:50]:
        fields = json.loads(each.body)
        assert fields["model"] == ("image-model" if each.name.startswith("image") else "text-model")
        assert ("attention" in fields) == each.attention == each.name.endswith("with attention")


@pytest.mark.parametrize("pattern", ["poisson", "constant"])
def test_arrivals_come_at_their_rate(pattern: arrivals.Pattern) -> None:
    times = list(itertools.islice(arrivals.intended(200, 10.0, pattern, random.Random(0)), 20_000))
    gaps = np.diff(times)
    assert times[0] >= 10
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    # Of a Poisson process gaps deviate by as much as they are long.
    assert gaps.std() == pytest.approx(1 / 200 if pattern == "poisson" else 0, rel=0.05, abs=1e-9)


def test_percentiles_are_within_a_hundredth() -> None:
    times = np.random.default_rng(0).lognormal(3, 1, 50_000)
    whole, parts = Histogram(), [Histogram() for _ in range(3)]
    for i, ms in enumerate(times):
        whole.add(ms)
        parts[i % 3].add(ms)
    for share in (0.5, 0.9, 0.99, 0.999):
        assert whole.percentile(share) == pytest.approx(np.quantile(times, share), rel=0.02)
        assert merged(parts).percentile(share) == whole.percentile(share)
    assert whole.mean == pytest.approx(times.mean(), rel=0.01)
    assert Histogram(whole.dump()).percentile(0.5) == whole.percentile(0.5)
    assert (Histogram().percentile(0.99), Histogram().mean, Histogram().largest) == (0, 0, 0)


def test_a_second_holds_what_was_meant_to_start_in_it() -> None:
    now = [100.0]
    recorder = Recorder(clock=lambda: now[0])
    recorder.offered(1, 100.9)
    now[0] = 100.95
    recorder.sent(1, 100.9)
    recorder.offered(2, 101.1)
    recorder.failed(2, 101.1, "status 500")
    now[0] = 104.9
    recorder.answered(1, 100.9, "text", 4_000, {"queue": 3_990}, during=2)
    recorder.unsent(2, 101.2)
    first, second, late = recorder.seconds().values()
    assert first.latency["text"].percentile(1) == pytest.approx(4_000, rel=0.01)
    assert first.lag.percentile(0.99) == pytest.approx(50, rel=0.02)
    assert (second.offered, second.unsent, second.problems) == (2, 1, {"status 500": 1})
    assert (first.done, late.done) == (0, 1), "an answer counts for a rate when it comes"
    assert (first.lost, second.lost, second.unanswered) == (0, 2, 0)
    assert (recorder.under(1).offered, recorder.under(2).offered, recorder.under(3).offered) == (1, 2, 0)


def test_what_workers_take_adds_up_at_the_master() -> None:
    workers, master = [Recorder(clock=lambda: 50.0) for _ in range(2)], Recorder(clock=lambda: 50.0)
    for i in range(10):
        for worker in workers:
            worker.offered(1, 50 + i)
            worker.answered(1, 50 + i, "text", 10, {"total": 9}, during=1)
            if i % 4 == 0:
                master.merge(worker.take())
    for worker in workers:
        master.merge(worker.take())
        assert worker.take() == [], "once taken it is not taken again"
    found = master.under(1)
    assert found.offered == found.done == found.latency["text"].count == found.stages["total"].count == 20


@pytest.mark.parametrize(
    ("text", "holds", "misses"),
    [
        ("p99=50ms", 40, 60),
        ("p99.9=0.05s", 40, 60),
        ("mean<=50ms,fail=0", 40, 60),
        ("max=50ms", 40, 60),
    ],
)
def test_objectives_hold_or_are_missed(text: str, holds: float, misses: float) -> None:
    assert not Slo.parse(text).misses(seen(holds), 1)
    assert len(Slo.parse(text).misses(seen(misses), 1)) == 1


def seen(ms: float, *, right: int = 100, failed: int = 0, unsent: int = 0, unanswered: int = 0) -> Second:
    """So many right answers, all as slow, and others."""
    second = Second(offered=right + failed + unsent + unanswered, unsent=unsent, done=right)
    for _ in range(right):
        second.latency.setdefault("text", Histogram()).add(ms)
    second.problems["status 429"] += failed
    return second


@pytest.mark.parametrize("lost", [{"failed": 1}, {"unsent": 1}, {"unanswered": 1}])
def test_what_comes_to_nothing_is_slower_than_any_answer(lost: dict[str, int]) -> None:
    assert Slo.parse("fail=0").misses(seen(1, **lost), 1)
    assert not Slo.parse("fail=1%,p95=50ms").misses(seen(1, right=99, **lost), 1)
    assert Slo.parse("p99.5=50ms").misses(seen(1, right=99, **lost), 1)
    assert Slo.parse("max=50ms").misses(seen(1, **lost), 1)
    assert Slo.parse("rate=100").misses(seen(1, right=99, **lost), 1)
    assert not Slo.parse("rate=100").misses(seen(1), 1)


def test_a_server_that_refuses_quickly_holds_nothing() -> None:
    search = Search(10, 10, Slo.parse("p99=50ms"))
    search.over(Result(Phase("trial", 10, 10), 0, 0, 10, seen(1, right=10, failed=90)))
    assert (search.held, search.failed) == (None, 10)


def test_of_nothing_nothing_holds() -> None:
    assert Slo.parse("p99=50ms").misses(Second(), 1)
    assert not Slo.parse("").misses(Second(), 1)


@pytest.mark.parametrize("text", ["p99", "p99=50", "p99=50%", "fail=1ms", "q99=5ms", "p99=-1ms", "p99=50ms;fail=0"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(SloError, match="objectives are like"):
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
def test_phases_take_as_long_as_the_run(plan: Plan, levels: list[float]) -> None:
    phases = list(plan.phases())
    assert [phase.level for phase in phases] == levels
    assert sum(phase.seconds or 0 for phase in phases) == pytest.approx(60)


def searched(latency: Callable[[float], float], start: float) -> tuple[Search, list[float]]:
    """A search against a server with that latency at that rate."""
    search, tried = Search(start, 10, Slo.parse("p99=50ms,fail=0")), []
    for phase in search.phases():
        tried.append(phase.level)
        search.over(Result(phase, 0, 0, 10, seen(latency(phase.level))))
    return search, tried


@pytest.mark.parametrize("start", [1.0, 20.0, 300.0, 3_000.0])
def test_the_search_finds_the_knee_from_either_side(start: float) -> None:
    search, tried = searched(lambda rate: 10 if rate < 170 else 500, start)
    assert search.held is not None
    assert 170 / 1.06 < search.held < 170
    assert len(tried) <= 16


def test_nothing_holds() -> None:
    search, _ = searched(lambda _: 500, 100)
    assert search.held is None


def test_requests_without_an_answer_fail_a_trial() -> None:
    search = Search(10, 10, Slo.parse("p50=50ms"))
    search.over(Result(Phase("trial", 10, 10), 0, 0, 10, seen(1, unanswered=2)))
    assert (search.held, search.failed) == (None, 10)


TEXT = Request("/", "text", b"", items=1, attention=False)
SEEN = Request("/", "text with attention", b"", items=1, attention=True)
TOKENS = [{"text": "a", "start": 0, "end": 1}] * 2


def answer(embedding: object, **more: object) -> bytes:
    return json.dumps({"data": [{"embedding": embedding, **more}]}).encode()


@pytest.mark.parametrize(
    ("request_", "content", "problem"),
    [
        (TEXT, ANSWER, None),
        (TEXT, answer([0.6, 0.8]), None),
        (TEXT, answer([0.6, 0.9]), "length is not 1"),
        (TEXT, answer([math.nan, 1]), "not finite"),
        (TEXT, answer("AAA"), "another shape"),
        (TEXT, b"{", "another shape"),
        (TEXT, b"[]", "another shape"),
        (SEEN, answer([1.0], attention={"values": [1e308, 1e308], "tokens": TOKENS}), "another shape"),
        (TEXT, b"", "another shape"),
        (TEXT, b'{"data": []}', "1 items"),
        (SEEN, answer([1.0], attention={"values": [0.5, 0.5], "tokens": TOKENS}), None),
        (SEEN, answer([1.0], attention={"values": [0.5, 0.6], "tokens": TOKENS}), "does not sum to 1"),
        (SEEN, answer([1.0], attention={"values": [0.5, 0.3, 0.2], "tokens": TOKENS}), "another length"),
        (SEEN, answer([1.0]), "another shape"),
    ],
)
def test_wrong_answers_are_known(request_: Request, content: bytes, problem: str | None) -> None:
    found = Answers().problem(request_, 200, content)
    assert found is None if problem is None else problem in str(found)


def test_vectors_are_of_one_width() -> None:
    answers = Answers()
    assert answers.problem(TEXT, 200, answer([1.0])) is None
    assert answers.problem(TEXT, 200, answer([0.6, 0.8])) == "a vector of another width"
    assert Answers(dimensions=3).problem(TEXT, 200, answer([1.0])) == "a vector of another width"
    assert Answers(unit=False).problem(TEXT, 200, answer([5.0])) is None
    assert Answers().problem(TEXT, 503, b"") == "status 503"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("preprocess;dur=0.41, queue;dur=0.02, total;dur=5.2", {"preprocess": 0.41, "queue": 0.02, "total": 5.2}),
        ('cache;desc="a hit";dur="1.5", miss', {"cache": 1.5}),
        ("broken;dur=fast, endless;dur=inf, fine;dur=1", {"fine": 1.0}),
        ("", {}),
    ],
)
def test_stages_are_read(header: str, found: dict[str, float]) -> None:
    assert stages.parse(header) == found


def test_batches_are_counted_over_the_run() -> None:
    def scraped(*counts: int) -> batches.Buckets:
        edges = ("1.0", "2.0", "4.0", "+Inf")
        lines = [
            f'headlight_batch_items_bucket{{le="{edge}",model="{model}"}} {count}.0'
            for model in "ab"
            for edge, count in zip(edges, counts, strict=True)
        ]
        return batches.parse("\n".join(["# HELP", *lines, "headlight_batch_items_count 7"]))

    assert batches.sizes(scraped(1, 1, 1, 1), scraped(4, 4, 9, 10)) == {"1": 6, "3-4": 10, "over 4": 2}
    assert batches.sizes({}, {}) == {}


def test_a_knee_is_where_the_curve_bends() -> None:
    rates = [10, 20, 30, 40, 50, 60]
    assert knee(rates, [5, 5, 6, 7, 60, 200]) == 40
    assert knee(rates, [10, 20, 30, 40, 50, 60]) is None
    assert knee(rates, [5] * 6) is None
    assert knee([10, 20], [1, 9]) is None
