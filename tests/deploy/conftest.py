"""Fixtures: the manifests, rendered in every documented way."""

from pathlib import Path

import pytest

from tests.deploy.kustomize import VARIANTS, Resource, render_variant


@pytest.fixture(params=VARIANTS)
def resources(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Resource, ...]:
    return render_variant(request.param, tmp_path / "mine")
