"""Interface of native image encoders to training and experiments."""

from pydantic import BaseModel, ConfigDict, Field

from models.artifact.specs import Name
from models.encoders.config_types import Size
from models.vision import VisionEncoder

IMAGE_MEAN = 0.5
IMAGE_STD = 0.25
"""Mean and standard deviation that normalize pixels from 0 to 1 to -2 to 2."""


class ImageConfig(BaseModel):
    """Config that all image encoders share: square images of `image_px`, embeddings of `embedding_width`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    image_px: Size = 128
    embedding_width: Size = Field(384, description="Width of the vector; 384 is the default text model's.")
    space: Name | None = Field(None, description="The model whose vectors these can be compared with.")


class ImageEncoder(VisionEncoder):
    """Native encoder of square images."""

    config: ImageConfig

    def __init__(self, config: ImageConfig) -> None:
        super().__init__(image_mean=(IMAGE_MEAN,) * 3, image_std=(IMAGE_STD,) * 3)
        self.config = config
        self.height_px = self.width_px = config.image_px
        self.embedding_dim = config.embedding_width
