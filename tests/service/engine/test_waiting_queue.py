"""Tests of the waiting queue: turns, neighbors, deduplication, deadlines."""

import asyncio
import weakref
from collections.abc import Iterator
from dataclasses import replace
from heapq import heapify

import numpy as np
import pytest

from models.artifact import tensors
from service.engine import waiting_queue
from service.engine.items import BatchKey, EngineRequest, QueueItem, Waiter
from service.engine.waiting_queue import BatchLimits, WaitingQueue
from tests.service.engine.fakes import FakeItem, ids_of_length

PLAIN = BatchKey("fake", (tensors.OUTPUT,))
SEEN = BatchKey("fake", (tensors.OUTPUT, tensors.pooled_reduction("rollout")))
LIMITS = {"fake": BatchLimits(tokens=100, attention_elements=1_000)}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Requests:
    """Puts requests into what waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting = WaitingQueue()

    def add(
        self, *lengths: int, lane: BatchKey = PLAIN, deadline: float = 1e9, key: bytes | None = None
    ) -> EngineRequest:
        ticket = EngineRequest(deadline=deadline, loop=self.loop)
        prepared = [FakeItem(ids_of_length(n)) for n in lengths]
        if key is not None:
            prepared = [replace(item, key=key) for item in prepared]
        self.waiting.add([QueueItem(lane, item, [Waiter(ticket, i, None)]) for i, item in enumerate(prepared)])
        return ticket

    def take(self) -> list[int]:
        return [item.positions for item in self.waiting.take_batch(LIMITS)]


@pytest.fixture
def requests(loop: asyncio.AbstractEventLoop) -> Requests:
    return Requests(loop)


def test_batch_is_made_of_the_nearest_in_length(requests: Requests) -> None:
    for n in (40, 3, 45, 5, 39, 4):
        requests.add(n)
    assert sorted(requests.take()) == [39, 40]
    assert (requests.waiting.items, requests.waiting.tokens) == (4, 3 + 45 + 5 + 4)


def test_batch_is_never_mostly_padding(requests: Requests) -> None:
    requests.add(60)
    requests.add(1, 2, 3)
    taken = requests.take()
    assert taken[0] == 60
    assert len(taken) * 60 <= 2 * sum(taken)


def test_lanes_never_mix_and_observed_batches_are_bounded_in_patches(requests: Requests) -> None:
    requests.add(*[10] * 8)
    requests.add(*[10] * 20, lane=SEEN)
    batches = [requests.waiting.take_batch(LIMITS) for _ in range(3)]
    for batch in batches:
        assert len({item.batch_key for item in batch}) == 1
    assert [len(batch) for batch in batches if batch[0].batch_key == SEEN] == [10, 10]


def test_turns_go_between_the_oldest_request_and_the_one_that_got_least(requests: Requests) -> None:
    requests.add(*[60] * 50)
    late = [requests.add(20) for _ in range(3)]
    taken = [requests.take() for _ in range(7)]
    assert taken.index([20, 20, 20]) <= 1, "neighbors of the first of the late ones go with it"
    assert taken.count([60]) == 6
    assert not any(ticket.waiting_items for ticket in late)


def test_requests_that_have_begun_take_turns(requests: Requests) -> None:
    first, second = requests.add(*[60] * 10), requests.add(*[60] * 10)
    for _ in range(12):
        requests.take()
    assert min(len(first.waiting_items), len(second.waiting_items)) >= 1, "neither was served to the end first"


def test_identical_items_wait_once_and_are_handed_to_both(requests: Requests) -> None:
    first, second = requests.add(7, key=b"same"), requests.add(7, 7, key=b"same")
    assert (requests.waiting.items, requests.waiting.tokens) == (1, 7)
    (item,) = requests.waiting.take_batch(LIMITS)
    assert [(seat.request, seat.index) for seat in item.waiters] == [(first, 0), (second, 0), (second, 1)]
    assert not first.waiting_items
    assert not second.waiting_items
    assert requests.waiting.items == 0


def test_identical_items_that_are_asked_for_different_things_wait_apart(requests: Requests) -> None:
    requests.add(7, key=b"same")
    requests.add(7, key=b"same", lane=SEEN)
    assert requests.waiting.items == 2


def test_cancelled_item_leaves_unless_another_request_waits(requests: Requests) -> None:
    mine, other = requests.add(7, 8, key=None), requests.add(9)
    shared, also = requests.add(5, key=b"same"), requests.add(5, key=b"same")
    requests.waiting.cancel(mine)
    requests.waiting.cancel(shared)
    assert {item.positions for item in requests.waiting} == {9, 5}
    assert requests.waiting.tokens == 14
    assert other.waiting_items
    assert [seat.request for item in also.waiting_items for seat in item.waiters] == [also]
    requests.waiting.cancel(also)
    requests.waiting.cancel(other)
    assert (requests.waiting.items, requests.waiting.tokens, list(requests.waiting)) == (0, 0, [])


def test_only_requests_that_have_not_begun_expire(requests: Requests) -> None:
    begun = requests.add(60, 60, deadline=5)
    requests.take()
    late, patient = requests.add(9, deadline=5), requests.add(9, deadline=50)
    assert len(begun.waiting_items) == 1
    assert requests.waiting.expired(4) == []
    assert requests.waiting.expired(6) == [late]
    assert patient.waiting_items


def test_taking_does_not_look_at_all_that_waits(requests: Requests) -> None:
    """Counted, not timed: the items that are touched by taking one batch of a hundred thousand."""
    rng = np.random.default_rng(0)
    for _ in range(1_000):
        requests.add(*rng.integers(1, 100, 100))
    touched = 0
    positions = QueueItem.positions

    def counted(item: QueueItem) -> int:
        nonlocal touched
        touched += 1
        return positions.__get__(item)  # type: ignore[no-any-return]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QueueItem, "positions", property(counted))
        taken = requests.waiting.take_batch(LIMITS)
    assert taken
    assert touched < 100 * len(taken)


def test_answered_request_is_freed_before_its_deadline(requests: Requests) -> None:
    answered, gone = weakref.ref(requests.add(5)), weakref.ref(requests.add(6))
    requests.take()
    left = gone()
    assert left is None, "both went in one batch"
    assert answered() is None


def test_deadlines_of_what_is_answered_do_not_pile_up(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_queue, "MAX_STALE_DEADLINES", 10)
    swept: list[int] = []

    def noted(heap: list[tuple[float, int]]) -> None:
        swept.append(len(heap))
        heapify(heap)

    monkeypatch.setattr("heapq.heapify", noted)
    patient = [requests.add(99, deadline=deadline) for deadline in (90, 50)]
    for i in range(1_000):
        requests.waiting.cancel(requests.add(1, deadline=100 + i))
    assert len(swept) >= 1_000 // 16
    assert set(swept) == {2}, "those that count are kept, and no others"
    assert requests.waiting.next_deadline() == 50
    assert requests.waiting.expired(95) == patient[::-1]


def test_next_deadline_is_of_one_that_has_not_begun(requests: Requests) -> None:
    requests.add(3, deadline=5.0)
    requests.take()
    assert requests.waiting.next_deadline() == float("inf")
    requests.add(3, deadline=7.0)
    assert requests.waiting.next_deadline() == 7.0


def shared(requests: Requests, tokens: int) -> list[tuple[BatchKey, int]]:
    return [(item.batch_key, item.positions) for item in requests.waiting.take_batch(LIMITS, mixed_tokens=tokens)]


@pytest.mark.parametrize("first", [PLAIN, SEEN])
def test_small_batch_is_filled_with_those_of_which_attention_is_asked_or_not(
    requests: Requests, first: BatchKey
) -> None:
    other = SEEN if first is PLAIN else PLAIN
    requests.add(5, lane=first)
    for n in (4, 6, 5, 7):
        requests.add(n, lane=other)
    assert shared(requests, 16) == [(first, 5), (other, 5), (other, 4)]
    assert sorted(shared(requests, 16)) == [(other, 6), (other, 7)]


def test_batch_that_is_large_enough_is_of_one_lane(requests: Requests) -> None:
    requests.add(5, 5, 5, 5)
    requests.add(5, lane=SEEN)
    assert shared(requests, 16) == [(PLAIN, 5)] * 4


@pytest.mark.parametrize(
    "other",
    [
        BatchKey("another", SEEN.outputs),
        BatchKey("fake", (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS)),
        BatchKey("fake", (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS, tensors.pooled_reduction("rollout"))),
    ],
    ids=["of another model", "vectors", "vectors and attention"],
)
def test_incompatible_requests_share_no_batch(requests: Requests, other: BatchKey) -> None:
    requests.add(5, lane=PLAIN)
    requests.add(5, lane=other)
    assert shared(requests, 16) == [(PLAIN, 5)]
