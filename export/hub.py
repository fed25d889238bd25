"""Sources by their hub id, where the hub can be reached: only the files that an export reads are fetched."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import DryRunFileInfo, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from export.errors import SourceError

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_READ = [
    "*.json",  # configs, the tokenizer, and those of sentence-transformers' folders
    "model.safetensors",
    "model-*-of-*.safetensors",
    "[0-9]*_*/*.safetensors",  # an encoder or a Dense in a folder of its own
    "vocab.txt",
    "merges.txt",
    "*.model",  # SentencePiece
]
"""No pickles, and no code."""

_LEFT = ["onnx/*", "openvino/*", "checkpoint-*/*", "*.bin.index.json"]
_SHARDS = "model-*-of-*.safetensors"


def local(source: str) -> Path:
    """Return the directory of `source`: a path, or an id whose files are fetched.

    Says beforehand how much is fetched, on standard error. Raises SourceError if it cannot be.
    """
    if Path(source).exists() or not _ID.fullmatch(source):
        return Path(source)
    try:
        left = list(_LEFT)
        plan = _plan(source, left)
        if any(file.filename == "model.safetensors" for file in plan):
            left.append(_SHARDS)
            plan = [file for file in plan if not re.fullmatch(r"model-\d+-of-\d+\.safetensors", file.filename)]
        if not any(file.filename.endswith(".safetensors") for file in plan):
            raise SourceError(f"{source} has no model.safetensors on the hub; save it as safetensors, and export that")
        print(f"{source}: {_summary(plan)}", file=sys.stderr)
        return Path(snapshot_download(source, allow_patterns=_READ, ignore_patterns=left))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise SourceError(
            f"{source} is no directory, and no model of that id could be fetched: {_reason(error)}"
        ) from error


def _plan(source: str, left: list[str]) -> Sequence[DryRunFileInfo]:
    return snapshot_download(source, allow_patterns=_READ, ignore_patterns=left, dry_run=True)


def _summary(plan: Sequence[DryRunFileInfo]) -> str:
    fetched = [file for file in plan if file.will_download]
    if not fetched:
        return f"all {len(plan)} files are in the cache"
    megabytes = sum(file.file_size or 0 for file in fetched) / 1e6
    cached = f", {len(plan) - len(fetched)} more are in the cache" if len(plan) > len(fetched) else ""
    return f"{len(fetched)} files to fetch, {megabytes:,.1f} MB{cached}"


def _reason(error: Exception) -> str:
    """A whole sentence; the library's messages span lines."""
    if isinstance(error, GatedRepoError):
        return "it is gated; accept its terms on the hub and log in (hf auth login)"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or it is private and you are not logged in (hf auth login)"
    if isinstance(error, LocalEntryNotFoundError):
        return "the hub cannot be reached, and the files are not in the cache"
    return next(iter(str(error).splitlines()), type(error).__name__)
