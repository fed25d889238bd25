"""Download of sources by their hub id: only the files that an export reads."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import DryRunFileInfo, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from export.errors import SourceError
from models.filenames import WEIGHTS_FILE

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
ALLOW_PATTERNS = [
    "*.json",  # configs, the tokenizer, and those of sentence-transformers' folders
    WEIGHTS_FILE,
    "model-*-of-*.safetensors",
    "[0-9]*_*/*.safetensors",  # an encoder or a Dense in a folder of its own
    "vocab.txt",  # vocab.json is among the first
    "merges.txt",
    "[0-9]*_*/vocab.txt",
    "[0-9]*_*/merges.txt",
    "*.model",  # SentencePiece, in folders too
]
"""Files to download: no pickles and no code."""

_IGNORE_PATTERNS = ["onnx/*", "openvino/*", "checkpoint-*/*", "*.bin.index.json"]
_SHARDS = "model-*-of-*.safetensors"


def resolve_source(source: str) -> Path:
    """Return the directory of `source`: a path, or an id whose files are fetched.

    Says beforehand how much is fetched, on standard error. Raises SourceError if it cannot be.
    """
    if not source.strip():
        raise SourceError("the source is empty; give a directory, or a model's id on the hub")
    if Path(source).exists() or not _REPO_ID.fullmatch(source):
        return Path(source)
    try:
        return _fetched(source)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise SourceError(
            f"{source} does not exist here, and cannot be fetched from the hub: {_reason(error)}"
        ) from error


def _fetched(source: str) -> Path:
    left = list(_IGNORE_PATTERNS)
    try:
        plan = _list_files(source, left)
    except DryRunError:  # the hub cannot be reached, or must not be (HF_HUB_OFFLINE)
        return _cached(source)
    if any(file.filename == WEIGHTS_FILE for file in plan):
        left.append(_SHARDS)
        plan = [file for file in plan if not re.fullmatch(r"model-\d+-of-\d+\.safetensors", file.filename)]
    if not any(file.filename.endswith(".safetensors") for file in plan):
        raise SourceError(f"{source} has no {WEIGHTS_FILE} on the hub; save it as safetensors first")
    print(f"{source}: {_download_summary(plan)}", file=sys.stderr)
    return Path(snapshot_download(source, allow_patterns=ALLOW_PATTERNS, ignore_patterns=left))


def _list_files(source: str, ignore_patterns: list[str]) -> Sequence[DryRunFileInfo]:
    return snapshot_download(source, allow_patterns=ALLOW_PATTERNS, ignore_patterns=ignore_patterns, dry_run=True)


def _cached(source: str) -> Path:
    """Return the cached snapshot if it has weights; `snapshot_download` raises if there is none."""
    directory = Path(snapshot_download(source, allow_patterns=ALLOW_PATTERNS, ignore_patterns=_IGNORE_PATTERNS))
    if not any(directory.rglob("*.safetensors")):
        raise SourceError(f"{source} has no weights in the cache ({directory}), and the hub cannot be reached")
    print(f"{source}: the hub cannot be reached; the files in the cache are taken", file=sys.stderr)
    return directory


def _download_summary(files: Sequence[DryRunFileInfo]) -> str:
    downloads = [file for file in files if file.will_download]
    if not downloads:
        return f"all {len(files)} files are in the cache"
    megabytes = sum(file.file_size or 0 for file in downloads) / 1e6
    cached = f", {len(files) - len(downloads)} more are in the cache" if len(files) > len(downloads) else ""
    return f"{len(downloads)} files to fetch, {megabytes:,.1f} MB{cached}"


def _reason(error: Exception) -> str:
    """Return a whole sentence of an error; the library's messages span lines."""
    if isinstance(error, GatedRepoError):
        return "it is gated; accept its terms on the hub and log in (hf auth login)"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or it is private and you are not logged in (hf auth login)"
    if isinstance(error, LocalEntryNotFoundError):
        return "the hub cannot be reached, and the files are not in the cache"
    return next(iter(str(error).splitlines()), type(error).__name__)
