"""What can be wrong with an artifact."""


class ArtifactError(ValueError):
    """An artifact that must not be served. `file` is the name of the offending file inside it."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        super().__init__(f"{file} {reason}")
