"""Configuration of an image processor, completed with the defaults of its class.

As transformers reads it: `image_processor` in processor_config.json goes before preprocessor_config.json, and what is
absent is as the class has it. What is null is neither: a switch is off, and a number that is needed is missing.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, ValidationError

from export.errors import SourceError
from export.image_processor_defaults import PROCESSOR_BY_MODEL_TYPE, PROCESSOR_DEFAULTS
from export.source_checks import problem, validate
from models.artifact.specs import PixelCount
from models.filenames import CONFIG_FILE

_OLD_FILE, _NEW_FILE = "preprocessor_config.json", "processor_config.json"

Channels = tuple[float, float, float]
_Object = dict[str, Any]


def _broadcast_channels(value: object) -> object:
    """Repeat a single number for all channels."""
    return value if isinstance(value, list) else [value] * 3


def _null_to_false(value: object) -> object:
    return False if value is None else value


_Switch = Annotated[bool, BeforeValidator(_null_to_false)]
_Positive = Annotated[float, Field(gt=0)]
_SizePx = Annotated[tuple[PixelCount, ...], Field(strict=False)]
"""Size in px: (rows, columns), or (shorter side,)."""


class ProcessorConfig(BaseModel):
    """Image processor options under Hugging Face's names. Disabled steps have neutral values: mean 0, deviation 1."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    do_resize: _Switch
    size: _SizePx
    resample: Annotated[int, Field(ge=0, le=5)]
    do_center_crop: _Switch
    crop_size: _SizePx
    do_rescale: _Switch
    rescale_factor: _Positive
    do_normalize: _Switch
    image_mean: Annotated[Channels, BeforeValidator(_broadcast_channels), Field(strict=False)]
    image_std: Annotated[
        tuple[_Positive, _Positive, _Positive], BeforeValidator(_broadcast_channels), Field(strict=False)
    ]
    do_pad: _Switch
    do_convert_rgb: _Switch
    use_square_size: _Switch = False


def read_processor_config(directory: Path) -> tuple[Path, str, ProcessorConfig]:
    """Return the processor's file, the name of its class in CLASSES, and its configuration.

    Raises SourceError, one line, where the file is missing or malformed, or the class unknown.
    """
    path, found = _find_file(directory)
    kind = _processor_class(directory, path, found)
    return path, kind, _build_config(path, {**PROCESSOR_DEFAULTS[kind], **found})


def _find_file(directory: Path) -> tuple[Path, _Object]:
    """Return the processor's file and its contents."""
    new, old = directory / _NEW_FILE, directory / _OLD_FILE
    nested = _read_object(new).get("image_processor") if new.is_file() else None
    if nested is not None:
        if not isinstance(nested, dict):
            raise SourceError(f"{new}: image_processor is not an object; save the processor again")
        return new, nested
    if not old.is_file():
        raise SourceError(f"{directory} has no {_OLD_FILE}(image preprocessing); copy it from the original model")
    return old, _read_object(old)


def _processor_class(directory: Path, path: Path, found: _Object) -> str:
    """Return the name of the processor's class, or of the model's where an old file names none."""
    name = found.get("image_processor_type") or found.get("feature_extractor_type")
    config = directory / CONFIG_FILE
    model = _read_object(config).get("model_type") if name is None and config.is_file() else None
    if str(model) in PROCESSOR_BY_MODEL_TYPE:
        return PROCESSOR_BY_MODEL_TYPE[str(model)]
    kind = str(name).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")
    kind = kind.removesuffix("ImageProcessor")
    if kind == "Siglip2":
        raise SourceError(f"{path}: {name} (NaFlex) has no fixed size; export the SigLIP 2 of a fixed one")
    if kind not in PROCESSOR_DEFAULTS:
        known = ", ".join(f"{each}ImageProcessor" for each in PROCESSOR_DEFAULTS)
        raise SourceError(f"{path}: image_processor_type {name!r} cannot be exported; known: {known}")
    return kind


def _build_config(path: Path, merged: _Object) -> ProcessorConfig:
    numbers: _Object = {"size": _parse_size(path, "size", merged["size"], square=bool(merged["default_to_square"]))}
    crop = merged.get("crop_size")
    numbers["crop_size"] = () if crop is None else _parse_size(path, "crop_size", crop, square=True)
    if not merged["do_rescale"]:
        numbers["rescale_factor"] = 1.0
    if not merged["do_normalize"]:
        numbers |= {"image_mean": 0.0, "image_std": 1.0}
    try:
        return ProcessorConfig.model_validate(merged | numbers)
    except ValidationError as error:
        raise SourceError(f"{path}: {problem(error)}; fix it as in the original model") from error


def _parse_size(path: Path, name: str, size: object, *, square: bool) -> tuple[object, ...]:
    """Parse a size in any of its notations; a number alone is an old file's."""
    match size:
        case {"height": rows, "width": columns, **rest} if not rest:
            return (rows, columns)
        case {"shortest_edge": side, **rest} if not rest:
            return (side,)
        case [rows, columns]:
            return (rows, columns)
        case int():
            return (size, size) if square else (size,)
    raise SourceError(f"{path}: {name} is not in a known form; use height and width, or shortest_edge alone")


def _read_object(path: Path) -> _Object:
    try:
        return validate(path, RootModel[_Object]).root
    except ValidationError as error:
        raise SourceError(f"{path} is not a JSON object: {problem(error)}; copy it from the original") from error
