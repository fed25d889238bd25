"""The manifests, rendered in every way that the docs speak of."""

from pathlib import Path

import pytest

from tests.deploy.render import WAYS, Resource, in_way


@pytest.fixture(params=WAYS)
def resources(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Resource, ...]:
    return in_way(request.param, tmp_path / "mine")
