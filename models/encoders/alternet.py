"""AlterNet: convolutional stages that end in self-attention.

From Park & Kim, "How Do Vision Transformers Work?" (2022), section 4 and their published code: attention alternates
with the last convolutions of a stage; block counts, attention counts, head counts (3, 6, 12, 24), heads 64 wide,
windows of 7 (at 224 px) with a learned relative position, and the pre-activation attention block.
From He et al., "Identity Mappings in Deep Residual Networks" (2016): the pre-activation residual blocks, basic and
bottleneck. From He et al., "Deep Residual Learning" (2016), table 1: stem, widths and strides of the stages.
Differences from the source: windows of 8 that fit 128 px; a relative bias for each head, initialized to zero (theirs is
shared and random); attention and positions reported on the finest attended grid.

Letters: b items, c channels, y, x rows and columns of a map, h heads, s positions.
"""

from collections.abc import Sequence
from typing import Literal

from einops import rearrange
from pydantic import NonNegativeInt
from torch import Tensor, nn
from typing_extensions import override

from models.attention import AttentionRecorder
from models.encoders.config_types import Count, Size
from models.encoders.image import ImageConfig, ImageEncoder
from models.layers.errors import ConfigError, divide_exactly
from models.layers.grid_resampling import Grid, upsample_attention, upsample_embeddings
from models.layers.map_attention import MapAttention, MapAttentionPlan

Counts = tuple[Count, Count, Count, Count]
CountsOrNone = tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt]
Sizes = tuple[Size, Size, Size, Size]


class AlterNetConfig(ImageConfig):
    """Config of an AlterNet, by default AlterNet-18 at 128 px. `expansion` 1 selects basic blocks, 4 bottlenecks."""

    kind: Literal["alternet"] = "alternet"
    blocks: Counts = (2, 2, 2, 2)
    attention_blocks: CountsOrNone = (0, 1, 1, 1)
    heads: Counts = (3, 6, 12, 24)
    head_width: Size = 64
    widths: Sizes = (64, 128, 256, 512)
    windows: Sizes = (8, 8, 8, 4)
    expansion: Literal[1, 4] = 1


def alternet_34() -> AlterNetConfig:
    return AlterNetConfig(blocks=(3, 4, 6, 4), attention_blocks=(0, 1, 3, 2))


def alternet_50() -> AlterNetConfig:
    return AlterNetConfig(blocks=(3, 4, 6, 4), attention_blocks=(0, 1, 3, 2), expansion=4)


class AlterNet(ImageEncoder):
    """Stem, four stages, the mean over the last map, and a linear map to the embedding."""

    pooling = "mean"

    def __init__(self, config: AlterNetConfig) -> None:
        super().__init__(config)
        side = divide_exactly(config.image_px, 32, "image_px must be a multiple of 32 for five halvings")
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.widths[0], 7, stride=2, padding=3, bias=False), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.grids: list[Grid] = []
        self.blocks = nn.ModuleList()
        channels = config.widths[0]
        for stage in range(4):
            at = side * 2 ** (3 - stage)
            kinds = _attention_schedule(config.blocks[stage], config.attention_blocks[stage])
            for index, attends in enumerate(kinds):
                stride = 2 if stage and index == 0 else 1
                self.blocks.append(_block(config, stage, channels, at, stride, attends=attends))
                self.grids += [(at, at)] * attends
                channels = config.widths[stage] * config.expansion
        self.grid = max(self.grids, default=(side, side))
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, config.embedding_width)

    @override
    def encode(self, images: Tensor, recorder: AttentionRecorder) -> Tensor:
        x = self.stem(images)
        for block in self.blocks:
            x = block(x, recorder)
        x = self.norm(x).relu()
        if recorder.record:
            recorder.token_embeddings = upsample_embeddings(self.head(rearrange(x, "b c y x -> b y x c")), self.grid)
        vector: Tensor = self.head(x.mean(dim=(2, 3)))
        return vector

    @override
    def on_grid(self, weights: Sequence[Tensor]) -> list[Tensor]:
        return [
            upsample_attention(layer, grid, self.grid) for layer, grid in zip(weights, self.grids, strict=bool(weights))
        ]


def _attention_schedule(blocks: int, attention: int) -> list[bool]:
    """Return which blocks of a stage attend: convolutions first, then alternating, attention last."""
    if 2 * attention > blocks:
        raise ConfigError(f"a stage of {blocks} blocks is too short for {attention} attentions and a block before each")
    return [False] * (blocks - 2 * attention) + [False, True] * attention


def _block(
    config: AlterNetConfig, stage: int, channels: int, side: int, stride: int, *, attends: bool
) -> "_AttentionBlock | _ResidualBlock":
    width, out = config.widths[stage], config.widths[stage] * config.expansion
    if not attends:
        return _ResidualBlock(channels, width, out, stride)
    plan = MapAttentionPlan(
        width,
        (side, side),
        config.heads[stage],
        head_width=config.head_width,
        out_channels=out,
        window=config.windows[stage],
        relative=True,
    )
    return _AttentionBlock(channels, plan)


class _ResidualBlock(nn.Module):
    """Pre-activation residual block: basic where `out` is `width`, else a bottleneck."""

    def __init__(self, channels: int, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.shortcut = (
            nn.Conv2d(channels, out, 1, stride=stride, bias=False) if (stride, channels) != (1, out) else None
        )
        if out == width:
            convolutions = [(channels, width, 3, stride), (width, out, 3, 1)]
        else:
            convolutions = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out, side, step) in enumerate(convolutions):
            if i:
                layers += [nn.BatchNorm2d(fan_in), nn.ReLU()]
            layers.append(nn.Conv2d(fan_in, fan_out, side, stride=step, padding=side // 2, bias=False))
        self.residual = nn.Sequential(*layers)

    def forward(self, x: Tensor, _observer: AttentionRecorder) -> Tensor:
        active = self.before(x)
        out: Tensor = self.residual(active) + (x if self.shortcut is None else self.shortcut(active))
        return out


class _AttentionBlock(nn.Module):
    """Pre-activation residual block: a 1x1 convolution to `plan.channels`, attention in windows, and back to the
    input's channels."""

    def __init__(self, channels: int, plan: MapAttentionPlan) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.GELU(),
            nn.Conv2d(channels, plan.channels, 1, bias=False),
            nn.BatchNorm2d(plan.channels),
        )
        self.attention = MapAttention(plan)

    def forward(self, x: Tensor, recorder: AttentionRecorder) -> Tensor:
        out: Tensor = x + self.attention(self.narrow(x), recorder)
        return out
