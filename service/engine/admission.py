"""Who may wait, and what the others are told.

The queue holds so many tokens. Requests of at most one batch have a share of their own beside it, so that one who sends
thousands of texts does not shut out those who send one. What is promised is bounded too: bytes of attention,
and of vectors of positions.
"""

from dataclasses import dataclass

from service.engine.drain import Drain
from service.engine.items import Ticket
from service.errors import Overloaded

SMALL_SHARE = 4
"""One part in so many of the queue's tokens, on top, is for small requests alone."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Most `tokens` waiting, and most `attention_bytes` promised to requests whose answer is not sent yet:
    vectors of positions are counted with it.

    A request larger than the whole queue is taken when nothing else waits, as is attention when none is promised.
    Requests of at most `small_tokens` are small.
    """

    tokens: int
    attention_bytes: int
    small_tokens: int


class Admission:
    """Counts what is owed. Not thread-safe: the queue holds its lock around each call."""

    def __init__(self, limits: QueueLimits) -> None:
        self.drain = Drain()
        self._limits = limits
        self._small_tokens = 0
        self._attention_bytes = 0

    def has_room(self, tokens: int, *, waiting: int) -> bool:
        """A request of so many tokens would be taken, with so many waiting."""
        small = tokens <= self._limits.small_tokens
        own_room = small and self._small_tokens + tokens <= self._limits.tokens // SMALL_SHARE
        return not waiting or waiting + tokens <= self._limits.tokens or own_room

    def admit(self, ticket: Ticket, tokens: int, attention_bytes: int, *, waiting: int, owed: int) -> None:
        """Count a request in, until it is `answered` and `sent`; `owed` tokens wait or run. Raises Overloaded."""
        promised = self._attention_bytes + attention_bytes
        if attention_bytes and self._attention_bytes and promised > self._limits.attention_bytes:
            raise self.overloaded(owed, "as much attention as can be held is promised to others")
        if not self.has_room(tokens, waiting=waiting):
            raise self.overloaded(owed)
        ticket.small_tokens = tokens if tokens <= self._limits.small_tokens else 0
        ticket.attention_bytes = attention_bytes
        self._small_tokens += ticket.small_tokens
        self._attention_bytes += attention_bytes

    def answered(self, ticket: Ticket) -> None:
        """Nothing of the request waits or runs any more; what it was promised is held until it is `sent`."""
        self._small_tokens -= ticket.small_tokens
        ticket.small_tokens = 0

    def sent(self, ticket: Ticket) -> None:
        """Nothing is owed to the request any more."""
        self._attention_bytes -= ticket.attention_bytes
        ticket.attention_bytes = 0

    def overloaded(self, owed: int, told: str = "the queue is full") -> Overloaded:
        return Overloaded(told, self.drain.retry_after_s(owed))
