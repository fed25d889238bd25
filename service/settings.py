"""The service's only configuration: `HEADLIGHT_*` environment variables, read when the app starts."""

import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.artifact.artifact_files import list_artifacts
from models.artifact.errors import ArtifactError
from models.preprocess.image import MAX_PIXELS
from service import limits
from service.cpu import available_cpus

_SERVICE_LINK = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.IGNORECASE
)
_PORT = re.compile(r"(\w+_)?PORT", re.IGNORECASE)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""Kubernetes sets variables for each Service of a pod's namespace, unless `enableServiceLinks` is false. A Service
named headlight, or headlight-gpu, sets HEADLIGHT_SERVICE_HOST, HEADLIGHT_PORT=tcp://10.0.0.1:3000,
HEADLIGHT_PORT_3000_TCP and more."""


def unknown_env_variable(environment: Mapping[str, str], prefix: str, known: Collection[str]) -> str | None:
    """Return an error message for the first variable that begins with `prefix` but is not in `known` (in any case)."""
    upper = [f"{prefix}{name}".upper() for name in known]
    for variable, value in sorted(environment.items()):
        name = variable.upper()
        if name.startswith(prefix) and name not in upper and not _is_service_link(name.removeprefix(prefix), value):
            suggestions = get_close_matches(name, upper, n=1, cutoff=0.8)
            return f"unknown setting {variable}{f'; did you mean {suggestions[0]}?' if suggestions else ''}"
    return None


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name) or (_PORT.fullmatch(name) and _ADDRESS.match(value)))


logger = logging.getLogger(__name__)

PREFIX = "HEADLIGHT_"

DEPRECATED = {
    "max_items": "max_client_batch_size",
    "request_timeout_ms": "queue_timeout_ms",
    "drain_ms": "shutdown_delay_ms",
}
"""Old names of settings, which the next release refuses."""

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""Folder with `service/` and `artifacts/`: a checkout, or the source folder of a bento."""


class Settings(BaseSettings):
    """Each field is the environment variable of its name in capitals, after `HEADLIGHT_`; another one is refused."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    models: Annotated[tuple[Path, ...] | None, NoDecode] = Field(
        None, description="Artifact directories as a JSON list; all sealed artifacts under artifacts/ if unset."
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field("auto", description="Device that computes embeddings.")
    threads: int = Field(0, ge=0, description="Intra-op threads on CPU; 0 for the CPUs available to the process.")
    max_batch_tokens: int = Field(16_384, gt=0, description="Maximum tokens, or positions of images, in a batch.")
    max_queue_tokens: int = Field(
        262_144, gt=0, description="Maximum queued tokens, plus 25 % for small requests; beyond it requests get 429."
    )
    max_client_batch_size: int = Field(2_048, gt=0, description="Maximum inputs in a request.")
    max_body_bytes: int = Field(16 * 2**20, gt=0, description="Maximum size of a request body.")
    max_image_pixels: int = Field(
        MAX_PIXELS,
        gt=0,
        le=limits.MAX_IMAGE_PIXELS,
        description="Maximum pixels of an image, checked before decoding.",
    )
    max_attention_bytes: int = Field(
        32 * 2**20,
        gt=0,
        description="Maximum attention in a response, as float32; computing one input's may take 8 times this.",
    )
    cache_bytes: int = Field(0, ge=0, description="Size of the embedding cache; 0 disables it.")
    api_keys: Annotated[tuple[Annotated[SecretStr, Field(min_length=1)], ...], NoDecode] = Field(
        (), description="API keys as a JSON list; if set, each request must send one."
    )
    api_keys_file: FilePath | None = Field(None, description="More API keys, one per line; reloaded on change.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description='Allowed CORS origins as a JSON list; ["*"] for all.'
    )
    access_log: bool = Field(True, description="Log one JSON line per request, without its content.")
    queue_timeout_ms: int = Field(30_000, gt=0, description="Maximum time in the queue; beyond it requests get 503.")
    read_timeout_ms: int = Field(
        10_000, gt=0, description="Read timeout for headers; the body may take this plus 1 s per 16 KiB."
    )
    shutdown_delay_ms: int = Field(
        1_000, ge=0, description="Time after SIGTERM in which /readyz fails and requests are still served."
    )

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_variables(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Reject variables that are no settings, which pydantic ignores; read deprecated names."""
        if problem := unknown_env_variable(os.environ, PREFIX, [*cls.model_fields, *DEPRECATED]):
            raise PydanticCustomError("unknown_variable", "{problem}", {"problem": problem})
        return values | _read_deprecated(values)

    @field_validator("models", "api_keys", "cors_origins", mode="before")
    @classmethod
    def _parse_json_list(cls, value: object) -> object:
        """Parse a list that comes from the environment."""
        if not isinstance(value, str):
            return value
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if not isinstance(parsed, list):
            raise PydanticCustomError("json_list", 'must be a JSON list of strings, such as \'["first", "second"]\'')
        return parsed

    def artifact_directories(self) -> list[Path]:
        """Return the artifacts to serve, in order. Raises ArtifactError if there is none."""
        root = PROJECT_ROOT / "artifacts"
        directories = list_artifacts(root) if self.models is None else list(self.models)
        if not directories:
            raise ArtifactError(root, "has nothing to serve; export a model first")
        return directories

    @cached_property
    def attention_workspace_bytes(self) -> int:
        """Maximum memory to compute the attention of one input."""
        return limits.ATTENTION_WORKSPACE_FACTOR * self.max_attention_bytes

    def intra_op_threads(self) -> int:
        """Return the number of compute threads on CPU: the `threads` setting, or the number of available CPUs."""
        return self.threads or available_cpus()


def _read_deprecated(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of deprecated environment variables under the settings' new names.

    Raises PydanticCustomError if the old and the new name are both set.
    """
    environment = {name.upper(): value for name, value in os.environ.items()}
    found: dict[str, Any] = {}
    for old, new in DEPRECATED.items():
        old_variable, new_variable = f"{PREFIX}{old}".upper(), f"{PREFIX}{new}".upper()
        if old_variable not in environment:
            continue
        if new_variable in environment:
            message = f"{old_variable} is the deprecated name of {new_variable}; set the new one only"
            raise PydanticCustomError("deprecated_variable", "{message}", {"message": message})
        if new not in values:
            found[new] = environment[old_variable]
        _warn_deprecated(old_variable, new_variable)
    return found


@cache
def _warn_deprecated(old: str, new: str) -> None:
    """Warn once per process."""
    logger.warning("deprecated setting: name=%s use=%s", old, new)
