"""`python -m service [options of bentoml serve]`: look at what is to be served, then serve it.

BentoML starts a worker that cannot start again and again, for ever. What can be known to fail (settings, artifacts,
the device) is therefore looked at first, and ends the process with one line.
"""

import os
import sys

from pydantic import ValidationError

from models.contract.artifact import verify
from models.contract.errors import ArtifactError
from service.runtime.providers import ProviderUnavailable, choose
from service.settings import Settings

SERVICE = "service.bento:Headlight"


def main(arguments: list[str]) -> int:
    """Return 1 if it cannot be served; otherwise the process becomes the server and this never returns."""
    try:
        check(Settings())
    except (ArtifactError, ProviderUnavailable) as error:
        return _refuse(str(error))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        return _refuse(f"HEADLIGHT_{str(wrong['loc'][0]).upper()}: {wrong['msg']}")
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, *arguments]
    return os.execv(sys.executable, command)  # noqa: S606  # the same process, so that signals reach the server


def check(settings: Settings) -> None:
    """Raises ArtifactError or ProviderUnavailable for what could not be served."""
    for directory in settings.artifact_directories():
        choose(settings.device, verify(directory).graph.devices)


def _refuse(reason: str) -> int:
    print(f"not started: {reason}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
