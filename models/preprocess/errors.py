"""Errors of tokenizer files, token ids and image files.

TokenizerError          a malformed tokenizer.json
TokenIdError            ids of another tokenizer
├── TokenIdOutOfRange   an id outside the vocabulary
└── MissingSpecialTokens   ids without the special tokens that the tokenizer adds
ImageDecodeError
├── InvalidImage        not an image, or a broken one
├── UnsupportedImageFormat   an image other than JPEG, PNG or WebP
└── TooManyPixels       too large by its header; not decoded
"""


class TokenizerError(ValueError):
    """A tokenizer file that cannot be used; the message is the library's."""


class TokenIdError(ValueError):
    """Token ids that the model's own tokenizer cannot have made; the message is for a person."""


class MissingSpecialTokens(TokenIdError):
    """The ids lack the special tokens that this model's tokenizer adds around each text."""

    def __init__(self, prefix: list[str], suffix: list[str]) -> None:
        expected = " and ".join(
            f"{' '.join(tokens)} at the {place}" for tokens, place in ((prefix, "start"), (suffix, "end")) if tokens
        )
        super().__init__(
            f"the token ids lack this model's special tokens ({expected}): they were probably made with another "
            "model's tokenizer; send the text instead (in LangChain: check_embedding_ctx_length=False)"
        )


class TokenIdOutOfRange(TokenIdError):
    """An id of a text is outside the model's vocabulary of `size` tokens."""

    def __init__(self, id: int, size: int) -> None:
        super().__init__(
            f"token id {id} is not in this model's vocabulary of {size}: "
            "the text was tokenized with another model's tokenizer"
        )


class ImageDecodeError(ValueError):
    """Bytes that do not decode to an image; the message is for a person and quotes nothing of them."""


class InvalidImage(ImageDecodeError):
    pass


class UnsupportedImageFormat(ImageDecodeError):
    pass


class TooManyPixels(ImageDecodeError):
    pass
