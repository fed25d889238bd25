"""OpenAI API, extended with images, token ids and attention."""

from service.api.openai.endpoints import DIALECT

__all__ = ["DIALECT"]
