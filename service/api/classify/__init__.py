"""Labels of inputs and of tokens, in the shapes of the servers whose clients ask for them."""

from service.api.classify.endpoints import DIALECT

__all__ = ["DIALECT"]
