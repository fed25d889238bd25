"""`python -m service`: look at what is to be served, then serve it, in this one process.

What can be known to fail (settings, artifacts, the device, the address) is looked at first, and ends the process with
one line.
"""

import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import SettingsError

from models.contract.errors import ArtifactError
from service import worker
from service.opening import look_at
from service.options import parse
from service.runtime import driver
from service.runtime.providers import CPU, ProviderUnavailable, choose
from service.settings import PREFIX, Settings


def main(arguments: Sequence[str]) -> int:
    """Return 1 if it cannot be served; otherwise serve until told to stop."""
    options = parse(arguments)
    try:
        check(Settings())
        bound = worker.bind(options.host, options.port)
    except (ArtifactError, ProviderUnavailable, SettingsError) as error:  # SettingsError: a list that is no JSON
        return _refuse(str(error))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        named = f"{PREFIX}{str(wrong['loc'][0]).upper()}: " if wrong["loc"] else ""  # or it is of a name
        return _refuse(f"{named}{wrong['msg']}")
    except OSError as error:
        return _refuse(f"{options.host} port {options.port}: {error.strerror}")
    worker.serve(bound, options.for_worker)
    return 0


def check(settings: Settings) -> None:
    """Raises ArtifactError or ProviderUnavailable for what could not be served."""
    for _, manifest in look_at(settings):
        if choose(settings.device, manifest.graph.devices) != CPU and settings.device != "auto":
            driver.check()


def _refuse(reason: str) -> int:
    print(f"not started: {reason}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
