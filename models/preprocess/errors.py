"""Errors of tokenizer files, token ids and image files.

TokenizerError          tokenizer.json is none
TokenIdOutOfRange       an id that another tokenizer made
ImageDecodeError
├── InvalidImage        no picture, or a broken one
├── UnsupportedImageFormat   a picture, but no JPEG, PNG or WebP
└── TooManyPixels       refused by its header, undecoded
"""


class TokenizerError(ValueError):
    """The message is the library's, about the file."""


class TokenIdOutOfRange(ValueError):
    """One id of a text is none of the model's `size` tokens."""

    def __init__(self, id: int, size: int) -> None:
        super().__init__(
            f"token id {id} is not in this model's vocabulary of {size}: "
            "the text was tokenized with another model's tokenizer"
        )


class ImageDecodeError(ValueError):
    """Bytes that give no picture; the message is for a person and quotes nothing of them."""


class InvalidImage(ImageDecodeError):
    pass


class UnsupportedImageFormat(ImageDecodeError):
    pass


class TooManyPixels(ImageDecodeError):
    pass
