"""The manifests, rendered in every way that the docs speak of."""

from pathlib import Path

import pytest

from tests.deploy.render import COMPONENTS, KUBERNETES, OVERLAYS, Resource, composed, rendered

SCALED = {"keda": "hpa", "hpa": "keda"}
"""One of the two scales, never both."""

WAYS = [
    *OVERLAYS,
    "kserve",
    *(f"{overlay} without {SCALED[scaler]}" for overlay in OVERLAYS for scaler in SCALED),
]


@pytest.fixture(params=WAYS)
def resources(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Resource, ...]:
    """Each overlay alone, each with all components but one of the two that scale, and KServe's."""
    way: str = request.param
    if way == "kserve":
        return rendered(KUBERNETES / "kserve")
    overlay, _, without = way.partition(" without ")
    if not without:
        return rendered(KUBERNETES / "overlays" / overlay)
    return composed(tmp_path / "mine", overlay, [name for name in COMPONENTS if name != without])
