"""Three encoders over feature maps that differ only in how a block mixes positions.

nonlocal      self-attention over the map through 1x1 convolutions, with the three choices of projection
              (Wang et al., "Non-local Neural Networks", 2018)
dynamic-conv  the data-dependent convolution f(x) * x (Li et al., "Involution", 2021)
conv          a plain convolution: the control

The frame is that of Yu et al., "MetaFormer Is Actually What You Need for Vision" (2022): a token mixer and a channel
mixer, each behind a norm and added to what came in.

Letters: b items, c channels, y, x rows and columns of the map.
"""

from typing import Literal

from einops import rearrange
from torch import Tensor, nn
from typing_extensions import override

from models.attention import AttentionRecorder
from models.encoders.config_types import Count, Size
from models.encoders.image import ImageConfig, ImageEncoder
from models.layers.dynamic_convolution import DynamicConvolution
from models.layers.errors import ConfigError, divide_exactly, require_odd
from models.layers.map_attention import MapAttention, MapAttentionPlan
from models.layers.projection import Projection
from models.layers.self_attention import ScoreKind


class FeatureMapConfig(ImageConfig):
    """Config that the three share: a stem that halves the image until a cell is `cell_px`, then `layers` blocks."""

    cell_px: Size = 8
    width: Size = 128
    layers: Count = 4


class NonLocalConfig(FeatureMapConfig):
    kind: Literal["nonlocal"] = "nonlocal"
    heads: Count = 1
    projection: Projection = "separate"
    score: ScoreKind = "dot"


class DynamicConvConfig(FeatureMapConfig):
    kind: Literal["dynamic-conv"] = "dynamic-conv"
    groups: Count = 8
    kernel: Count = 7


class ConvConfig(FeatureMapConfig):
    kind: Literal["conv"] = "conv"
    kernel: Count = 3


class FeatureMapEncoder(ImageEncoder):
    """Stem, blocks, the mean over the map, and a linear map to the embedding."""

    pooling = "mean"

    def __init__(self, config: FeatureMapConfig) -> None:
        super().__init__(config)
        side = divide_exactly(config.image_px, config.cell_px, "cell_px does not divide image_px")
        self.grid = (side, side)
        self.stem = _stem(config)
        self.blocks = nn.ModuleList(
            _FeatureMapBlock(config.width, _mixer(config, self.grid)) for _ in range(config.layers)
        )
        self.norm = nn.GroupNorm(1, config.width)
        self.head = nn.Linear(config.width, config.embedding_width)

    @override
    def encode(self, images: Tensor, recorder: AttentionRecorder) -> Tensor:
        x = self.stem(images)
        for block in self.blocks:
            x = block(x, recorder)
        x = self.norm(x)
        if recorder.record:
            recorder.token_embeddings = self.head(rearrange(x, "b c y x -> b (y x) c"))
        vector: Tensor = self.head(x.mean(dim=(2, 3)))
        return vector


class _FeatureMapBlock(nn.Module):
    def __init__(self, width: int, mixer: nn.Module) -> None:
        super().__init__()
        self.norm_positions = nn.GroupNorm(1, width)
        self.mix_positions = mixer
        self.mix_channels = nn.Sequential(
            nn.GroupNorm(1, width), nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        )

    def forward(self, x: Tensor, recorder: AttentionRecorder) -> Tensor:
        x = x + self.mix_positions(self.norm_positions(x), recorder)
        out: Tensor = x + self.mix_channels(x)
        return out


class _NoAttention(nn.Module):
    """Mixes positions without attention."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor, _observer: AttentionRecorder) -> Tensor:
        mixed: Tensor = self.mixer(x)
        return mixed


def _mixer(config: FeatureMapConfig, grid: tuple[int, int]) -> nn.Module:
    """Return the module that mixes positions in a block: `[b, c, y, x]`, recorder -> `[b, c, y, x]`."""
    if isinstance(config, NonLocalConfig):
        plan = MapAttentionPlan(config.width, grid, config.heads, projection=config.projection, score=config.score)
        return MapAttention(plan)
    if isinstance(config, DynamicConvConfig):
        return _NoAttention(DynamicConvolution(config.width, groups=config.groups, kernel=config.kernel))
    if isinstance(config, ConvConfig):
        return _NoAttention(nn.Conv2d(config.width, config.width, require_odd(config.kernel), padding="same"))
    raise ConfigError(f"no mixer for {type(config).__name__}")


def _stem(config: FeatureMapConfig) -> nn.Sequential:
    """Build 3x3 convolutions that halve the image until a cell is `cell_px` wide."""
    halvings = config.cell_px.bit_length() - 1
    if config.cell_px < 2 or 2**halvings != config.cell_px:
        raise ConfigError(f"cell_px must be a power of 2 and at least 2, not {config.cell_px}")
    layers: list[nn.Module] = []
    channels = 3
    for left in reversed(range(halvings)):
        widened = max(8, config.width // 2**left)
        layers += [nn.Conv2d(channels, widened, 3, stride=2, padding=1), nn.GroupNorm(1, widened), nn.GELU()]
        channels = widened
    return nn.Sequential(*layers, nn.Conv2d(channels, config.width, 1))
