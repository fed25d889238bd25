"""Recipe: every number of a training run, in one TOML file."""

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from models.artifact.errors import first_validation_error
from models.encoders import registry
from models.encoders.image import ImageConfig
from models.train.errors import RecipeError

RECIPES = Path(__file__).parent / "recipes"


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_FrozenModel):
    """Training data: `captions` distinct descriptions, drawn once; each step renders `batch` new images of them."""

    captions: PositiveInt
    batch: PositiveInt
    one_in: float = Field(0.5, ge=0, le=1, description="Share of scenes with one object.")


class OptimizerConfig(_FrozenModel):
    """AdamW with a linear warm-up and a cosine decay to zero."""

    steps: PositiveInt
    warmup_steps: NonNegativeInt
    learning_rate: PositiveFloat
    weight_decay: float = Field(ge=0)
    clip_norm: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _check_warmup(self) -> Self:
        if self.warmup_steps > self.steps:
            raise ValueError(f"{self.warmup_steps} warmup_steps of {self.steps} steps")
        return self


class Recipe(_FrozenModel):
    """Encoder, data and optimizer of a run. `encoder` is a config of `models.encoders.registry`."""

    name: str
    seed: NonNegativeInt
    autocast_bf16: bool = Field(description="Matrix products in bfloat16: on CUDA, and on CPUs that have it.")
    checkpoint_every: PositiveInt
    encoder: dict[str, Any]
    data: DataConfig
    optimizer: OptimizerConfig

    @classmethod
    def read(cls, name_or_path: str) -> Self:
        """Read a recipe by its file, or by the name of one that comes with us. Raises RecipeError."""
        path = RECIPES / f"{name_or_path}.toml"
        if not path.is_file():
            path = Path(name_or_path)
        if not path.is_file():
            known = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.toml")))
            raise RecipeError(f"no recipe {name_or_path!r}; known: {known}, or the path of a TOML file")
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is not TOML: {error}") from error
        except OSError as error:
            raise RecipeError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise RecipeError(f"{path}: {first_validation_error(error)}") from error

    def config(self) -> ImageConfig:
        """Return the encoder's config. Raises ConfigError, and RecipeError for an encoder without images."""
        config = registry.from_dict(self.encoder)
        if not isinstance(config, ImageConfig):
            raise RecipeError(f"an encoder of kind {config.kind!r} takes no images")
        return config
