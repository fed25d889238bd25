"""Errors of third-party encoders."""


class PretrainedError(ValueError):
    """The directory holds no encoder that can be taken; the message is one line, for a person."""
