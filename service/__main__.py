"""Command `python -m service`: check, then serve, in this process.

Settings, artifacts, device, address and uvicorn's version are checked first; an error ends the process with one line.
"""

import sys
from collections.abc import Sequence

from pydantic import ValidationError

from models.artifact.errors import ArtifactError
from service import bento
from service.cli import parse_args
from service.http.protocol import UnsupportedUvicorn, check_uvicorn
from service.model_loader import verify_artifacts
from service.runtime import providers
from service.runtime.providers import CPU, ProviderUnavailable, select_provider
from service.settings import PREFIX, Settings


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; return 1 if startup fails."""
    options = parse_args(arguments)
    try:
        check_uvicorn()
        preflight(Settings())
    except (ArtifactError, ProviderUnavailable, UnsupportedUvicorn) as error:
        return _exit_with_error(str(error))
    except ValidationError as error:
        first_error = error.errors(include_url=False)[0]
        setting_name = (
            f"{PREFIX}{str(first_error['loc'][0]).upper()}: " if first_error["loc"] else ""
        )  # without one, the error is of a variable's name
        return _exit_with_error(f"{setting_name}{first_error['msg']}")
    try:
        listening_socket = bento.bind(options.host, options.port)
    except OSError as error:
        return _exit_with_error(f"{options.host} port {options.port}: {error.strerror}")
    bento.serve(listening_socket, options.server_args)
    return 0


def preflight(settings: Settings) -> None:
    """Raise ArtifactError or ProviderUnavailable, which names the model, if a model cannot be served."""
    for _, manifest in verify_artifacts(settings):
        try:
            if select_provider(settings.device, manifest.graph.devices) != CPU and settings.device != "auto":
                providers.require_cuda_driver()
        except ProviderUnavailable as error:
            raise ProviderUnavailable(f"model {manifest.name}: {error}") from error


def _exit_with_error(reason: str) -> int:
    print(f"cannot start: {reason}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
