"""Dense stages of sentence-transformers after the pooling: a linear map and an activation each.

A stage's folder holds `config.json` and `model.safetensors`. Letters: k inputs, n outputs of a stage.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from typing_extensions import override

from models.artifact.errors import first_validation_error
from models.filenames import CONFIG_FILE, WEIGHTS_FILE
from models.pretrained.errors import PretrainedError

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (nn.Identity, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid)
}
_SENTENCE_EMBEDDING = "sentence_embedding"


class _DenseConfig(BaseModel):
    """A stage's config.json, with the defaults of sentence-transformers for entries that older releases did not write.

    Unknown entries are refused: sentence-transformers leaves them out with a warning.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    in_features: PositiveInt
    out_features: PositiveInt
    bias: bool = True
    activation_function: str = "torch.nn.modules.activation.Tanh"
    module_input_name: str = _SENTENCE_EMBEDDING
    module_output_name: str | None = None
    use_residual: bool = False


class Dense(nn.Module):
    """One stage, `[..., k]` -> `[..., n]`. `is_linear` says that the mean of its outputs is the output for the mean."""

    def __init__(self, config: _DenseConfig) -> None:
        super().__init__()
        k, n = config.in_features, config.out_features
        activation = _ACTIVATIONS[config.activation_function.rpartition(".")[2]]
        self.map = nn.Linear(k, n, bias=config.bias)
        self.activation = activation()
        self.residual = nn.Linear(k, n, bias=False) if config.use_residual and k != n else None
        self.adds_input = config.use_residual
        self.is_linear = activation is nn.Identity

    @override
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.map(x))
        if not self.adds_input:
            return out
        added: Tensor = x if self.residual is None else self.residual(x)
        return out + added


def read_dense(folder: Path) -> Dense:
    """Read the stage in `folder`. Raises PretrainedError, by file and entry, if it cannot be exported."""
    path = folder / CONFIG_FILE
    try:
        config = _DenseConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PretrainedError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise PretrainedError(
            f"{path} does not describe a Dense stage: {first_validation_error(error, ' ').strip()}"
        ) from error
    package, _, name = config.activation_function.rpartition(".")
    if not f"{package}.".startswith("torch.nn.") or name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise PretrainedError(
            f"{path} has activation_function {config.activation_function!r}; known, of torch.nn: {known}"
        )
    if (config.module_input_name, config.module_output_name or _SENTENCE_EMBEDDING) != (
        _SENTENCE_EMBEDDING,
        _SENTENCE_EMBEDDING,
    ):
        raise PretrainedError(f"{path} maps {config.module_input_name}, and only {_SENTENCE_EMBEDDING} can be exported")
    stage = Dense(config)
    names = {"linear.weight": "map.weight", "linear.bias": "map.bias", "residual.weight": "residual.weight"}
    wanted = {theirs: stage.state_dict()[ours] for theirs, ours in names.items() if ours in stage.state_dict()}
    weights = _weights(folder, {name: list(tensor.shape) for name, tensor in wanted.items()})
    stage.load_state_dict({names[name]: weight.float() for name, weight in weights.items()})
    return stage.eval()


def chained_dim(dim: int, stages: Sequence[Dense]) -> int:
    """Return the dimension after the stages of one `dim` wide. Raises PretrainedError if a stage does not fit."""
    for i, stage in enumerate(stages, start=1):
        if stage.map.in_features != dim:
            raise PretrainedError(f"Dense stage {i} takes in_features {stage.map.in_features}, its input has {dim}")
        dim = stage.map.out_features
    return dim


def _weights(folder: Path, shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Exactly the tensors of `shapes`, from the folder's safetensors file. Raises PretrainedError."""
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        pickled = next((each.name for each in sorted(folder.glob("*.bin"))), None)
        why = f", and {pickled} is a pickle, which is never loaded" if pickled else ""
        raise PretrainedError(f"{folder} has no {WEIGHTS_FILE}{why}; save the model again with sentence-transformers")
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PretrainedError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    found = {name: list(tensor.shape) for name, tensor in weights.items()}
    if found != shapes:
        raise PretrainedError(f"{path} holds {found}, its config.json says {shapes}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise PretrainedError(f"{path} holds a value that is not finite")
    return weights
