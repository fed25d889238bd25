"""What a Hugging Face or sentence-transformers directory says about the encoder in it.

Reads JSON only. Pooling, normalisation and the token limit come from the sentence-transformers files where they
are present; a plain Hugging Face directory is pooled by the mean and normalised.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, NonNegativeInt, PositiveInt, RootModel, ValidationError

from export.errors import SourceError
from models.contract.artifact import TOKENIZER_FILE
from models.contract.manifest import Pooling
from models.pretrained import ARCHITECTURES

_Parsed = TypeVar("_Parsed", bound=BaseModel)

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class Source:
    """A text encoder to export. `position_offset` is the position id of the first token."""

    directory: Path
    architecture: str
    width: int
    layers: int
    heads: int
    vocabulary_size: int
    max_tokens: int
    position_offset: int
    pooling: Pooling
    normalize: bool


class _Config(BaseModel):
    """The part of config.json that says what is exported; names are Hugging Face's."""

    model_type: str
    hidden_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    vocab_size: PositiveInt
    max_position_embeddings: PositiveInt
    pad_token_id: NonNegativeInt = 0


class _Stage(BaseModel):
    """One entry of modules.json: a sentence-transformers class, and the folder with its config."""

    type: str
    path: str


class _TransformerConfig(BaseModel):
    """sentence_bert_config.json"""

    max_seq_length: PositiveInt | None = None
    do_lower_case: bool = False


class _Prompts(BaseModel):
    """The part of config_sentence_transformers.json that changes what is embedded."""

    default_prompt_name: str | None = None


def read(directory: Path) -> Source:
    """Raises SourceError when the directory is no text encoder that can be exported."""
    config = _parse(directory / "config.json", _Config)
    if config.model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SourceError(f"model_type {config.model_type!r} cannot be exported; known: {known}")
    for names in (WEIGHTS, (TOKENIZER_FILE,)):
        if not any((directory / name).is_file() for name in names):
            raise SourceError(f"{directory} has no {' or '.join(names)}")
    position_offset = 0 if config.model_type == "bert" else config.pad_token_id + 1
    pooling, normalize = _pooling(directory)
    return Source(
        directory=directory,
        architecture=config.model_type,
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        vocabulary_size=config.vocab_size,
        max_tokens=_max_tokens(directory, config.max_position_embeddings - position_offset),
        position_offset=position_offset,
        pooling=pooling,
        normalize=normalize,
    )


def _pooling(directory: Path) -> tuple[Pooling, bool]:
    """Pooling and normalisation from modules.json, which lists the stages by their class."""
    if not (directory / "modules.json").is_file():
        return "mean", True
    modules = _parse(directory / "modules.json", RootModel[list[_Stage]]).root
    stages = {stage.type.rpartition(".")[2]: stage.path for stage in modules}
    unknown = stages.keys() - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise SourceError(f"modules.json has stages that cannot be exported: {', '.join(sorted(unknown))}")
    if "Pooling" not in stages:
        return "mean", "Normalize" in stages
    config = _parse(directory / stages["Pooling"] / "config.json", RootModel[dict[str, Any]]).root
    return _pooling_mode(config), "Normalize" in stages


def _pooling_mode(config: dict[str, Any]) -> Pooling:
    """The one mode of a Pooling config: `pooling_mode` by name, or flags as older releases wrote it."""
    known: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
    prefix = "pooling_mode_"
    modes = [key.removeprefix(prefix) for key, value in config.items() if key.startswith(prefix) and value is True]
    if isinstance(config.get("pooling_mode"), str):
        modes = [config["pooling_mode"]]
    if len(modes) != 1 or modes[0] not in known:
        raise SourceError(f"pooling {'+'.join(modes) or 'none'} cannot be exported; known: mean, cls")
    return known[modes[0]]


def _max_tokens(directory: Path, positions: int) -> int:
    """The sentence-transformers limit where there is one, and never more than there are positions.

    Refuses what these files ask for beyond that and the service would not do: lower-casing and a default prompt.
    """
    prompts = _parse_if_there(directory / "config_sentence_transformers.json", _Prompts)
    if prompts.default_prompt_name is not None:
        raise SourceError(f"the default prompt {prompts.default_prompt_name!r} cannot be exported")
    transformer = _parse_if_there(directory / "sentence_bert_config.json", _TransformerConfig)
    if transformer.do_lower_case:
        raise SourceError("do_lower_case in sentence_bert_config.json cannot be exported")
    return min(transformer.max_seq_length or positions, positions)


def _parse_if_there(path: Path, kind: type[_Parsed]) -> _Parsed:
    return _parse(path, kind) if path.is_file() else kind()


def _parse(path: Path, kind: type[_Parsed]) -> _Parsed:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SourceError(f"{path} is not what it should be: {where} {first['msg']}") from error
