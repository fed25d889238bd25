"""What can be wrong with a tokenizer's file, or with the bytes of a picture.

TokenizerError          tokenizer.json is none
ImageProblem
├── NotAnImage          no picture, or a broken one
├── UnsupportedFormat   a picture, but no JPEG, PNG or WebP
└── TooManyPixels       refused by its header, undecoded
"""


class TokenizerError(ValueError):
    """The message is the library's, about the file."""


class ImageProblem(ValueError):
    """Bytes that give no picture; the message is for a person and quotes nothing of them."""


class NotAnImage(ImageProblem):
    pass


class UnsupportedFormat(ImageProblem):
    pass


class TooManyPixels(ImageProblem):
    pass
