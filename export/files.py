"""The files of a source, before any library opens them: plain, inside the directory, and of a safe kind."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from export.errors import SourceError

_Parsed = TypeVar("_Parsed", bound=BaseModel)

WEIGHTS_FILE = "model.safetensors"
SHARDS_FILE = "model.safetensors.index.json"
CONFIG_FILE = "config.json"

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class _Shards(BaseModel):
    """Which file each weight is in."""

    weight_map: dict[str, str]


def check(directory: Path) -> None:
    """Raises SourceError for a directory whose weights are missing, pickled, or not in it."""
    if not directory.is_dir():
        raise SourceError(f"{directory} is no directory; give one with a {CONFIG_FILE} and a {WEIGHTS_FILE}")
    for path in sorted(directory.rglob("*")):
        _refuse_foreign_link(path, directory)
    if (directory / WEIGHTS_FILE).is_file():
        return
    if not (directory / SHARDS_FILE).is_file():
        raise SourceError(_no_weights(directory))
    for name in sorted(set(parse(directory / SHARDS_FILE, _Shards).weight_map.values())):
        if Path(name).name != name:
            raise SourceError(f"{directory / SHARDS_FILE} names {name!r}, which is not a file beside it")
        if not (directory / name).is_file():
            raise SourceError(f"{directory} has no {name}, which its {SHARDS_FILE} names")


def parse(path: Path, kind: type[_Parsed]) -> _Parsed:
    """A JSON file of the source. Raises SourceError."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SourceError(f"{path} is not what it should be: {where} {first['msg']}") from error


def parse_if_there(path: Path, kind: type[_Parsed]) -> _Parsed:
    return parse(path, kind) if path.is_file() else kind()


def _refuse_foreign_link(path: Path, directory: Path) -> None:
    """A hub's cache links a snapshot's files to its own blobs; any other link leads who knows where."""
    if not path.is_symlink():
        return
    home = directory.parent.parent if directory.parent.name == "snapshots" else directory
    if not path.resolve().is_relative_to(home.resolve()):
        raise SourceError(f"{path} is a link out of the directory; put the file itself there")


def _no_weights(directory: Path) -> str:
    pickled = next((path.name for pattern in _PICKLED for path in sorted(directory.glob(pattern))), None)
    if pickled is None:
        return f"{directory} has no {WEIGHTS_FILE}"
    return (
        f"{directory} has no {WEIGHTS_FILE}, and {pickled} is pickled, which is never opened; save the model again "
        "with save_pretrained(safe_serialization=True)"
    )
