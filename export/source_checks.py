"""Checks of a source's files before any library opens them: plain, inside the directory, complete, of a safe kind."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from export.errors import SourceError
from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.errors import first_validation_error
from models.filenames import CONFIG_FILE, SHARDS_FILE, TOKENIZER_CONFIG_FILE, WEIGHTS_FILE

_Parsed = TypeVar("_Parsed", bound=BaseModel)

_PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CHECKED_FILES = (CONFIG_FILE, WEIGHTS_FILE, SHARDS_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE)
_CHECKED_IMAGE_FILES = ("preprocessor_config.json", "processor_config.json")
_READ_PATTERNS = ("*.json", "*.safetensors", "*.model", "vocab.txt", "merges.txt")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_HTML_PREFIXES = (b"<!doctype html", b"<html")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _ShardIndex(BaseModel):
    """Index of sharded weights: the file of each weight."""

    weight_map: dict[str, str]
    metadata: dict[str, Any] | None = None


def check_files(directory: Path, root: Path | None = None) -> None:
    """Raise SourceError for an encoder's directory whose weights are missing, pickled, or not in it.

    `root` is the source that the directory is of, where it is another.
    """
    check_links(root or directory)
    if not directory.is_dir():
        raise SourceError(f"{directory} does not exist; the encoder should be there")
    if (directory / "adapter_config.json").exists():
        raise SourceError(f"{directory / 'adapter_config.json'} belongs to an adapter; merge it into its model first")
    for name in (*_CHECKED_FILES, *_CHECKED_IMAGE_FILES):
        check_download(directory / name)
    if (directory / WEIGHTS_FILE).is_file():
        return  # an index is not read then, whatever it names: transformers takes the whole file too
    if not (directory / SHARDS_FILE).is_file():
        raise SourceError(_missing_weights_message(directory))
    _check_shards(directory / SHARDS_FILE)


def check_links(directory: Path) -> None:
    """Raise SourceError for a directory that is missing, or has links out of it or devices in it."""
    if not directory.is_dir():
        raise SourceError(f"{directory} is not a directory; give one with a {CONFIG_FILE} and a {WEIGHTS_FILE}")
    for path in sorted(directory.rglob("*")):
        _check_symlink(path, directory)


def _check_shards(path: Path) -> None:
    shards = parse(path, _ShardIndex)
    for name in sorted(set(shards.weight_map.values())):
        if Path(name).name != name:
            raise SourceError(f"{path} names {name!r}, which is not a file of its folder")
        if not name.endswith(".safetensors"):
            raise SourceError(f"{path} names {name!r}, which is pickled and never opened; save it as safetensors")
        if not (path.parent / name).is_file():
            raise SourceError(f"{path.parent} has no {name}, which {path.name} names")
        check_download(path.parent / name)
    if shards.metadata is None:
        raise SourceError(f'{path} has no metadata, without which transformers reads no shard; add "metadata": {{}}')


def check_download(path: Path) -> None:
    """Raise SourceError for what a broken download leaves in place of a file; an absent file is ignored."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return
    if start.startswith(_LFS_POINTER):
        raise SourceError(f"{path} is a Git LFS pointer, not the file: run git lfs pull in its repository")
    if start.removeprefix(_BYTE_ORDER_MARK).lstrip(b" \r\n\t").lower().startswith(_HTML_PREFIXES):
        raise SourceError(f"{path} is an HTML page, not the file: download it again, from its raw or resolve address")
    if path.suffix == ".json" and start.startswith(_BYTE_ORDER_MARK):
        raise SourceError(f"{path} begins with a byte order mark, which is not JSON; save it as UTF-8 without one")


def parse(path: Path, model: type[_Parsed]) -> _Parsed:
    """Return a JSON file of the source. Raises SourceError."""
    try:
        return validate(path, model)
    except ValidationError as error:
        raise SourceError(f"{path} is invalid: {problem(error)}") from error


def problem(error: ValidationError) -> str:
    """Return where the first thing is wrong, unless that is the whole file, and what."""
    return first_validation_error(error, " ").strip()


def validate(path: Path, model: type[_Parsed]) -> _Parsed:
    """As `parse`, but raise ValidationError for a caller with its own message; also raises SourceError."""
    check_download(path)
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def parse_optional(path: Path, model: type[_Parsed]) -> _Parsed:
    return parse(path, model) if path.is_file() else model()


def resolve_folder(directory: Path, name: str, source: Path) -> Path:
    """Return the folder `name` of `directory`. Raises SourceError for one elsewhere, which `source` names."""
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise SourceError(f"{source} names {name!r}, which is not a folder of the source")
    return directory / name


def _check_symlink(path: Path, directory: Path) -> None:
    """Only plain files and folders. A hub's cache links a snapshot's files to its own blobs; any other link leads out
    of what was given. One that leads nowhere can be opened by nobody, and is named only where a file is missed."""
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
        if not any(map(path.match, _READ_PATTERNS)):
            return
        raise SourceError(f"{path} is a broken link; replace it with the file") from error
    root = directory.parent.parent if directory.parent.name == "snapshots" else directory
    if path.is_symlink() and not resolved.is_relative_to(root.resolve()):
        raise SourceError(f"{path} is a link that leaves the directory; replace it with the file")
    if not (resolved.is_file() or resolved.is_dir()):
        raise SourceError(f"{path} is neither a file nor a folder; remove it")


def _missing_weights_message(directory: Path) -> str:
    pickled = next((path.name for pattern in _PICKLE_PATTERNS for path in sorted(directory.glob(pattern))), None)
    if pickled is None:
        return f"{directory} has no {WEIGHTS_FILE}; save the model there with save_pretrained"
    return (
        f"{directory} has no {WEIGHTS_FILE}, and {pickled} is pickled, which is never opened; save the model again "
        "with save_pretrained(safe_serialization=True)"
    )
