"""The service's only configuration: `HEADLIGHT_*` environment variables, read when the app starts."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FilePath, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.contract.artifact import sealed
from models.contract.errors import ArtifactError
from models.preprocess.image import MAX_PIXELS
from service.processors import available
from service.variables import unknown

PREFIX = "HEADLIGHT_"

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""Where `service/` and `artifacts/` stand side by side: a checkout, or the source folder of a bento."""

MOST_PIXELS = 100_000_000
"""Past 179 million the image decoders have a limit of their own, and one picture would take gigabytes."""

COMPUTED_FOR_ANSWERED = 8
"""Times `max_attention_bytes` that the attention of one input may take while it is computed: rows of it, its largest
weights or a reduction are much less than what they are made of."""


class Settings(BaseSettings):
    """Each field is the environment variable of its name in capitals, after `HEADLIGHT_`; another one is refused."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    models: tuple[Path, ...] | None = Field(
        None, description="Artifact directories as a JSON list; every sealed one under artifacts/ if unset."
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field("auto", description="Where embeddings are computed.")
    threads: int = Field(0, ge=0, description="Threads that compute on CPU; 0 for the processors given to the process.")
    max_batch_tokens: int = Field(16_384, gt=0, description="Most tokens, or positions of pictures, in one run.")
    max_queue_tokens: int = Field(
        262_144, gt=0, description="Most of them waiting, and a quarter more of small requests; past it 429."
    )
    max_items: int = Field(2_048, gt=0, description="Most texts or images in one request.")
    max_body_bytes: int = Field(16 * 2**20, gt=0, description="Largest request body.")
    max_image_pixels: int = Field(
        MAX_PIXELS, gt=0, le=MOST_PIXELS, description="Largest image, by its header; past it it is not decoded."
    )
    max_attention_bytes: int = Field(
        32 * 2**20,
        gt=0,
        description="Most attention in an answer, as float32; 8 times it to compute one input's.",
    )
    cache_bytes: int = Field(0, ge=0, description="Embeddings kept by content, at most so much of them; 0 for none.")
    api_keys: tuple[Annotated[SecretStr, Field(min_length=1)], ...] = Field(
        (), description="Keys as a JSON list; one of them must come with each request, if there are any."
    )
    api_keys_file: FilePath | None = Field(None, description="More keys, one a line; read anew whenever it changes.")
    cors_origins: tuple[str, ...] = Field((), description='Origins whose pages may ask, as a JSON list; ["*"] for all.')
    access_log: bool = Field(True, description="One line of JSON for each request; never with its content.")
    request_timeout_ms: int = Field(30_000, gt=0, description="Longest wait in the queue.")
    read_timeout_ms: int = Field(
        10_000, gt=0, description="Longest wait for a request's headers; for its body, as long and 1 s each 16 KiB."
    )
    drain_ms: int = Field(
        1_000, ge=0, description="From SIGTERM, how long all is still served while /readyz says that it ends."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_other_variables(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Pydantic looks for its fields in the environment, and sees no others."""
        if wrong := unknown(os.environ, PREFIX, cls.model_fields):
            raise PydanticCustomError("unknown_variable", "{wrong}", {"wrong": wrong})
        return values

    def artifact_directories(self) -> list[Path]:
        """The artifacts to serve, in order. Raises ArtifactError when there is none."""
        root = PROJECT_ROOT / "artifacts"
        directories = sealed(root) if self.models is None else list(self.models)
        if not directories:
            raise ArtifactError(root, "has nothing to serve; export a model first")
        return directories

    @property
    def attention_workspace_bytes(self) -> int:
        """What the attention of one input may take while it is computed."""
        return COMPUTED_FOR_ANSWERED * self.max_attention_bytes

    def intra_op_threads(self) -> int:
        """Threads that compute on CPU: as told, else as many as the processors that the process may use."""
        return self.threads or available()
