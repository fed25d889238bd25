"""Sources by their hub id, where the hub can be reached: only the files that an export reads are fetched."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from export.errors import SourceError

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_READ = ["*.json", "*/config.json", "model*.safetensors"]
"""No pickles, and no code."""


def local(source: str) -> Path:
    """The directory of `source`: a path, or an id whose files are fetched. Raises SourceError if they cannot be."""
    if Path(source).exists() or not _ID.fullmatch(source):
        return Path(source)
    try:
        return Path(snapshot_download(source, allow_patterns=_READ))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{source} is no directory, and no model of that id could be fetched: {first}") from error
