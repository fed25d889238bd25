"""Weights that behave as trained ones, for encoders that nobody has trained.

Random weights flatter an export: their attention is broad, all their channels are of one size, and float32 rounds them
away by a few 1e-7. `shape` gives random weights of any architecture three traits that were measured on trained ones
(all-MiniLM-L6-v2 and all-mpnet-base-v2, twelve texts of `models.synthetic_corpus`):

- *Outlier channels.* The largest value of a hidden state is 10 to 88 times its median, in the same few channels at
  almost every token and layer, and the gains of normalizations reach 5.7 times their median. (Kovaleva et al., BERT
  Busters: Outlier Dimensions That Disrupt Transformers, 2021, found them in six kinds of encoders.) Here two channels
  of each normalization get `OUTLIER_GAIN` times the gain and, where it has a bias, `OUTLIER_OFFSET` more or less of it:
  24 to 79. The last normalization stays as it is: of vectors 32 wide, two such channels would be nearly all.
- *Sharp heads among broad ones.* The mean entropy of a head's rows is 0.56 to 0.61 of the uniform's over all heads, and
  0.00 to 0.17 in the sharpest. Here queries are scaled by `SHARPNESS` to powers from 1 to -4, row by row, so that the
  first heads are sharp and the last broad: 0.27 to 0.57, and 0.00 to 0.02.
- *Large terms that cancel.* What all keys have in common shifts the scores of a row and not its weights, but it costs
  them digits. On random ids float32's own error in all-mpnet-base-v2's weights is 1.7e-5. Here keys read the outlier
  channels `KEY_OUTLIER_FACTOR` times as strongly as the others, and queries not at all: 9e-6 to 4e-5, which is 5 to 21
  times the error of the same encoders before (0.9e-6 to 3e-6).
"""

import torch
from torch import Tensor, nn

OUTLIER_GAIN = 8.0
OUTLIER_OFFSET = 12.0
SHARPNESS = 2.5
KEY_OUTLIER_FACTOR = 5.0
QUERY_KEY_STD = 1.7
"""Standard deviation of queries and keys, before the factors, where hidden states have one of 1."""

MAX_DEVIATION = 2e-4
"""The most that any figure of an exported encoder of this shape is off, whatever limit its export computed."""

_QUERIES = ("query", "q", "q_lin", "q_proj", "query_proj")
_KEYS = ("key", "k", "k_lin", "k_proj", "key_proj")
_FUSED = ("Wqkv",)


def imitate_trained(model: nn.Module) -> None:
    """Change random weights in place, so that `model` behaves as a trained one of its architecture."""
    norms = [module for module in model.modules() if "Norm" in type(module).__name__]
    with torch.no_grad():
        for norm in norms[:-1]:
            _add_norm_outliers(norm)
        for path, module in model.named_modules():
            name = path.rpartition(".")[2]
            if isinstance(module, nn.Linear) and name in _QUERIES:
                _sharpen_queries(_normalize_std(module.weight), module.bias)
            elif isinstance(module, nn.Linear) and name in _KEYS:
                _amplify_outlier_keys(_normalize_std(module.weight))
            elif isinstance(module, nn.Linear) and name in _FUSED:
                queries, keys, _ = module.weight.chunk(3)
                _sharpen_queries(_normalize_std(queries), None if module.bias is None else module.bias.chunk(3)[0])
                _amplify_outlier_keys(_normalize_std(keys))


def outlier_channels(width: int) -> list[int]:
    """The two channels."""
    return [width // 3, 2 * width // 3]


def _add_norm_outliers(norm: nn.Module) -> None:
    gain, bias = getattr(norm, "weight", None), getattr(norm, "bias", None)
    if isinstance(gain, Tensor):
        channels = outlier_channels(len(gain))
        gain[channels] *= OUTLIER_GAIN
        if isinstance(bias, Tensor):
            bias[channels] += OUTLIER_OFFSET * torch.tensor([1.0, -1.0])


def _normalize_std(weight: Tensor) -> Tensor:
    weight *= QUERY_KEY_STD / (weight.std() * weight.shape[1] ** 0.5)
    return weight


def _sharpen_queries(weight: Tensor, bias: Tensor | None) -> None:
    """`weight` is `[h * d, e]`. Rows of a head are neighbors, so a factor that rises over the rows rises over heads."""
    factors = SHARPNESS ** torch.linspace(1, -4, len(weight))
    weight[:, outlier_channels(weight.shape[1])] = 0.0
    weight *= factors[:, None]
    if bias is not None:
        bias *= factors


def _amplify_outlier_keys(weight: Tensor) -> None:
    weight[:, outlier_channels(weight.shape[1])] *= KEY_OUTLIER_FACTOR
