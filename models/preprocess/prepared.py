"""What batching needs to know of an item, whatever it was made from."""

from typing import Protocol

from models.contract.arrays import Data


class Prepared(Protocol):
    """An item ready for its graph: `data` is what the graph takes, `positions` the length of the sequence it is.

    `truncated` says that the caller sent more than the model can take.
    """

    @property
    def data(self) -> Data: ...

    @property
    def positions(self) -> int: ...

    @property
    def truncated(self) -> bool: ...
