"""Waiting items, in lanes that never mix, and how a batch is taken from one.

A lane holds the items of one model that need the same tensors. A batch starts with one item and grows by those of its
lane nearest to it in length, so that little of attention is padding. The first item is in turn the oldest of all, so
that nothing starves, and the oldest of the request served least, so that a long request does not hold up a short one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from service.engine.items import Item


@dataclass(frozen=True, slots=True)
class Lane:
    """What the items of a lane have in common: a model, the tensors that are fetched for them, and of which heads."""

    model: str
    outputs: tuple[str, ...]
    heads: tuple[int, ...] = ()

    @property
    def observed(self) -> bool:
        """Attention is among what is fetched."""
        return len(self.outputs) > 1


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Most `tokens` in a batch, and in one whose attention is observed most `cells` of it: items times length squared.

    A picture counts as the tokens that its positions are.

    A single item is a batch whatever its size: admission has already bounded it.
    """

    tokens: int
    cells: int

    def hold(self, items: int, tokens: int, longest: int, *, observed: bool) -> bool:
        return tokens <= self.tokens and not (observed and items * longest**2 > self.cells)


class Lanes:
    """Every waiting item. Not thread-safe: the engine holds its lock around each call."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, list[Item]] = {}
        self._oldest_first = False
        self.tokens = 0
        self.items = 0

    def add(self, lane: Lane, items: Iterable[Item]) -> None:
        waiting = self._waiting.setdefault(lane, [])
        for item in items:
            waiting.append(item)
            self._count(item, 1)

    def take(self, limits: BatchLimits) -> tuple[Lane, list[Item]]:
        """Remove and return the next batch. There must be an item waiting."""
        lane, first = self._first()
        chosen = _nearest_in_length(first, self._waiting[lane], limits, observed=lane.observed)
        taken = {id(item) for item in chosen}
        self._keep(lane, [item for item in self._waiting[lane] if id(item) not in taken])
        for item in chosen:
            self._count(item, -1)
            item.ticket.served_positions += item.positions
        return lane, chosen

    def remove_closed(self) -> int:
        """Forget the items that nobody waits for any more; returns how many."""
        before = self.items
        for lane, waiting in list(self._waiting.items()):
            for item in waiting:
                if item.ticket.closed:
                    self._count(item, -1)
            self._keep(lane, [item for item in waiting if not item.ticket.closed])
        return before - self.items

    def expired(self, now: float) -> list[Item]:
        """Items whose request waited past its deadline and has not begun; they stay until their tickets are closed."""
        return [item for item in self.all() if item.ticket.deadline <= now and not item.ticket.begun]

    def all(self) -> list[Item]:
        return [item for waiting in self._waiting.values() for item in waiting]

    def _first(self) -> tuple[Lane, Item]:
        """The item that the next batch starts with, by turns of two rules."""
        self._oldest_first = not self._oldest_first
        pairs = ((lane, item) for lane, waiting in self._waiting.items() for item in waiting)
        if self._oldest_first:
            return min(pairs, key=lambda pair: pair[1].enqueued)
        return min(pairs, key=lambda pair: (pair[1].ticket.served_positions, pair[1].enqueued))

    def _keep(self, lane: Lane, items: list[Item]) -> None:
        if items:
            self._waiting[lane] = items
        else:
            del self._waiting[lane]

    def _count(self, item: Item, sign: int) -> None:
        self.tokens += sign * item.positions
        self.items += sign


def _nearest_in_length(first: Item, waiting: list[Item], limits: BatchLimits, *, observed: bool) -> list[Item]:
    """The first item and those nearest to it in length, as many as the limits hold."""
    by_length = sorted(waiting, key=lambda item: item.positions)
    left = right = next(i for i, item in enumerate(by_length) if item is first)
    tokens = longest = first.positions
    while True:
        shorter = by_length[left - 1] if left > 0 else None
        longer = by_length[right + 1] if right + 1 < len(by_length) else None
        candidate = _nearer(shorter, longer, first.positions)
        if candidate is None:
            break
        grown = tokens + candidate.positions, max(longest, candidate.positions)
        if not limits.hold(right - left + 2, *grown, observed=observed):
            break
        tokens, longest = grown
        left, right = (left - 1, right) if candidate is shorter else (left, right + 1)
    return by_length[left : right + 1]


def _nearer(shorter: Item | None, longer: Item | None, length: int) -> Item | None:
    if shorter is None or longer is None:
        return longer if shorter is None else shorter
    return shorter if length - shorter.positions <= longer.positions - length else longer
