"""Kernels by which layers mix positions, read from trained encoders, so that attention and convolution compare.

A kernel is the weights that one output position gives to the positions it mixes. Attention's are its rows; those of
f(x) * x are f(x); a convolution's are its derivative, which needs no opening of the layer.

Letters: b items, p kernels of one item (heads or groups at each position), k weights of a kernel, c channels, y, x
rows and columns of a map, h heads, g groups, s positions.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from models.encoders.image import ImageEncoder
from models.experiments.recording import record_scores
from models.layers.dynamic_convolution import DynamicConvolution


def attention_kernels(encoder: ImageEncoder, pixels: Tensor) -> list[Tensor]:
    """Return each layer's `[b, p, k]`: the rows of attention over all positions."""
    return [rearrange(weights, "b h s k -> b (h s) k") for weights in record_scores(encoder, pixels).weights]


@torch.no_grad()
def dynamic_kernels(encoder: ImageEncoder, pixels: Tensor) -> list[Tensor]:
    """Return each layer's `[b, p, k]`: f(x) at each position."""
    layers = [module for module in encoder.modules() if isinstance(module, DynamicConvolution)]
    inputs = _inputs(encoder, list(layers), pixels)
    made = (layer.kernels(x) for layer, x in zip(layers, inputs, strict=True))
    return [rearrange(kernels, "b g k y x -> b (g y x) k") for kernels in made]


def convolution_kernels(encoder: ImageEncoder, pixels: Tensor) -> list[Tensor]:
    """Return each layer's `[b, 1, k]`: the derivative of its output's center, averaged over channels, by its input."""
    layers = [module for module in encoder.modules() if isinstance(module, nn.Conv2d) and module.padding == "same"]
    kernels = []
    for layer, x in zip(layers, _inputs(encoder, list(layers), pixels), strict=True):
        x = x.detach().requires_grad_()
        middle = layer(x)[:, :, x.shape[2] // 2, x.shape[3] // 2]
        mixture = torch.randn(middle.shape[1], generator=torch.Generator().manual_seed(0))
        (derivative,) = torch.autograd.grad((middle * mixture).sum(), x)
        kernels.append(rearrange(derivative, "b c y x -> b 1 (c y x)"))
    return kernels


def movement(kernels: Tensor) -> float:
    """Return how much of kernels `[b, p, k]` differs between items: 0 if the input does not matter, at most 1.

    The root of the squared distances from the mean kernel, over the squared lengths.
    """
    kernels = kernels.double()  # where the mean of equal floats is that float, exactly
    mean = kernels.mean(dim=0, keepdim=True)
    return ((kernels - mean).square().sum() / kernels.square().sum()).sqrt().item()


def _inputs(encoder: ImageEncoder, layers: list[nn.Module], pixels: Tensor) -> list[Tensor]:
    """Return the input of each layer for these pixels."""
    given: dict[nn.Module, Tensor] = {}

    def keep(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        given[layer] = arguments[0]

    hooks = [layer.register_forward_pre_hook(keep) for layer in layers]
    with torch.no_grad():
        encoder(pixels)
    for hook in hooks:
        hook.remove()
    return [given[layer] for layer in layers]
