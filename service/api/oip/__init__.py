"""Open Inference Protocol, version 2, with the extension for binary tensors."""

from service.api.oip.endpoints import DIALECT

__all__ = ["DIALECT"]
