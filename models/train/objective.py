"""Training objective: symmetric cross-entropy of images and captions with a learned temperature.

The captions' vectors are frozen, so each image is contrasted with all captions of the recipe, not only with those of
its batch: 32,000 candidates at the cost of one matrix product.

Letters: b images in a batch, n captions, e width.
Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021), section 2.3.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_SCALE = 20.0
MAX_SCALE = 100.0


class ContrastiveLoss(nn.Module):
    """Contrastive loss with a learned inverse temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))

    def forward(self, images: Tensor, captions: Tensor, chosen: Tensor) -> Tensor:
        """Return the loss of images `[b, e]`, captions `[n, e]` of length 1, and chosen `[b]`, each image's caption."""
        scale = self.log_scale.exp()
        images = functional.normalize(images.float(), dim=1)
        among_captions = scale * images @ captions.T
        among_images = scale * captions[chosen] @ images.T
        own = torch.arange(len(images), device=images.device)
        return (functional.cross_entropy(among_captions, chosen) + functional.cross_entropy(among_images, own)) / 2

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Clamp the scale to its bound after a step, from where it can fall again."""
        self.log_scale.clamp_(max=math.log(MAX_SCALE))
