"""What the files that sentence-transformers writes beside a model say of how it is used.

modules.json lists the stages by their class; each stage has a folder with a config.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PositiveInt, RootModel

from export.errors import SourceError
from export.files import parse, parse_if_there
from models.contract.specs import Pooling

_POOLINGS: dict[str, Pooling] = {
    "mean": "mean",
    "mean_tokens": "mean",
    "cls": "cls",
    "cls_token": "cls",
    "lasttoken": "last",
}
_FLAG = "pooling_mode_"


@dataclass(frozen=True)
class Usage:
    """How texts become vectors around the encoder; None where the files do not say."""

    pooling: Pooling | None = None
    normalize: bool = True
    max_tokens: int | None = None
    lower_case: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None


class _Stage(BaseModel):
    """One entry of modules.json."""

    type: str
    path: str


class _Transformer(BaseModel):
    """sentence_bert_config.json"""

    max_seq_length: PositiveInt | None = None
    do_lower_case: bool = False


class _Prompts(BaseModel):
    """The part of config_sentence_transformers.json that changes what is embedded."""

    prompts: dict[str, str] = {}
    default_prompt_name: str | None = None


def read(directory: Path) -> Usage:
    """Raises SourceError for files that are malformed, or ask for what would not be done."""
    prompts = parse_if_there(directory / "config_sentence_transformers.json", _Prompts)
    transformer = parse_if_there(directory / "sentence_bert_config.json", _Transformer)
    if prompts.default_prompt_name is not None and prompts.default_prompt_name not in prompts.prompts:
        path, name = directory / "config_sentence_transformers.json", prompts.default_prompt_name
        raise SourceError(f"{path} has the default prompt {name!r} among no prompts of that name")
    pooling, normalize = _stages(directory, any(prompts.prompts.values()))
    return Usage(
        pooling=pooling,
        normalize=normalize,
        max_tokens=transformer.max_seq_length,
        lower_case=transformer.do_lower_case,
        prompts=prompts.prompts,
        default_prompt=prompts.default_prompt_name,
    )


def _stages(directory: Path, prompted: bool) -> tuple[Pooling | None, bool]:
    """Pooling and normalisation. A plain Hugging Face directory says nothing, and is normalised."""
    path = directory / "modules.json"
    if not path.is_file():
        return None, True
    stages = {stage.type.rpartition(".")[2]: stage.path for stage in parse(path, RootModel[list[_Stage]]).root}
    unknown = stages.keys() - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise SourceError(f"{path} has stages that cannot be exported: {', '.join(sorted(unknown))}")
    if stages.get("Transformer"):
        raise SourceError(f"{path} keeps its encoder in {stages['Transformer']}; export that directory")
    if "Pooling" not in stages:
        return None, "Normalize" in stages
    if ".." in Path(stages["Pooling"]).parts or Path(stages["Pooling"]).is_absolute():
        raise SourceError(f"{path} names {stages['Pooling']!r}, which is not a folder beside it")
    config_path = directory / stages["Pooling"] / "config.json"
    config = parse(config_path, RootModel[dict[str, Any]]).root
    if prompted and config.get("include_prompt") is False:
        raise SourceError(f"{config_path} pools without the prompt (include_prompt), which cannot be exported")
    return _pooling_mode(config), "Normalize" in stages


def _pooling_mode(config: dict[str, Any]) -> Pooling:
    """The one mode of a Pooling config: `pooling_mode` by name, or flags as older releases wrote it."""
    modes = [key.removeprefix(_FLAG) for key, value in config.items() if key.startswith(_FLAG) and value is True]
    if isinstance(config.get("pooling_mode"), str):
        modes = [config["pooling_mode"]]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise SourceError(f"pooling {'+'.join(modes) or 'none'} cannot be exported; known: mean, cls, lasttoken")
    return _POOLINGS[modes[0]]
