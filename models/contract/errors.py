"""What can be wrong with an artifact."""

from pathlib import Path


class ArtifactError(ValueError):
    """An artifact that must not be served; the message names it and the offending file in it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.parent.name}/{path.name} {reason}")
