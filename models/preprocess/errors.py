"""What can be wrong with the bytes of a picture.

ImageProblem
├── NotAnImage          no picture, or a broken one
├── UnsupportedFormat   a picture, but no JPEG, PNG or WebP
└── TooManyPixels       refused by its header, undecoded
"""


class ImageProblem(ValueError):
    """Bytes that give no picture; the message is for a person and quotes nothing of them."""


class NotAnImage(ImageProblem):
    pass


class UnsupportedFormat(ImageProblem):
    pass


class TooManyPixels(ImageProblem):
    pass
