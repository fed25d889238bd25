"""Programs that tests need and no Python environment holds."""

import os
import shutil

import pytest


def require_program(program: str, package: str) -> str:
    """Its path. Where it is not installed the test is skipped, but fails where `.ci/run` should have installed it."""
    found = shutil.which(program)
    if found is None:
        message = f"requires {program} (apt-get install {package})"
        if os.environ.get("CI_PROGRAMS"):
            pytest.fail(message)
        pytest.skip(message)
    return found
