"""Registry of native encoders by their kind."""

from typing import Any, Final, overload

from pydantic import ValidationError

from models.artifact.errors import first_validation_error
from models.encoders.alternet import AlterNet, AlterNetConfig
from models.encoders.feature_map_encoders import ConvConfig, DynamicConvConfig, FeatureMapEncoder, NonLocalConfig
from models.encoders.image import ImageConfig, ImageEncoder
from models.encoders.text import TextConfig, TextTransformer
from models.encoders.vit import VisionTransformer, VitConfig
from models.layers.errors import ConfigError

Encoder = ImageEncoder | TextTransformer
Config = ImageConfig | TextConfig

_ENCODERS: Final[dict[str, tuple[type[Config], Any]]] = {
    "text": (TextConfig, TextTransformer),
    "vit": (VitConfig, VisionTransformer),
    "alternet": (AlterNetConfig, AlterNet),
    "nonlocal": (NonLocalConfig, FeatureMapEncoder),
    "dynamic-conv": (DynamicConvConfig, FeatureMapEncoder),
    "conv": (ConvConfig, FeatureMapEncoder),
}
"""Config and encoder by kind."""


def from_dict(fields: dict[str, Any]) -> Config:
    """Check a config. Raises ConfigError for an unknown kind, listing the known, and for wrong fields."""
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in _ENCODERS:
        raise ConfigError(f"no encoder of kind {kind!r}; known: {', '.join(_ENCODERS)}")
    try:
        return _ENCODERS[kind][0].model_validate(fields)
    except ValidationError as error:
        raise ConfigError(first_validation_error(error)) from error


@overload
def build(config: ImageConfig) -> ImageEncoder: ...


@overload
def build(config: TextConfig) -> TextTransformer: ...
def build(config: Config) -> Encoder:
    """Build an encoder with random weights from torch's generator. Raises ConfigError for an impossible config."""
    for kind, encoder in _ENCODERS.values():
        if type(config) is kind:
            built: Encoder = encoder(config)
            return built
    raise ConfigError(f"no encoder takes a {type(config).__name__}; known: {', '.join(_ENCODERS)}")
