"""What `kubectl apply -k` would send, as objects."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.server import ROOT

Resource = dict[str, Any]

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
RUNBOOK = ROOT / "docs/operations.md"
OVERLAYS = ["cpu", "gpu"]
COMPONENTS = ["api-keys", "monitoring", "keda", "hpa"]
SCALED = {"keda": "hpa", "hpa": "keda"}
"""One of the two scales, never both."""
WAYS = [
    *OVERLAYS,
    "kserve",
    *(f"{overlay} without {SCALED[scaler]}" for overlay in OVERLAYS for scaler in SCALED),
]
"""Each overlay alone, each with all components but one of the two that scale, and KServe's."""


@cache
def renderer() -> tuple[str, ...]:
    """The command that renders a folder. Skips the test where there is none."""
    if shutil.which("kubectl"):
        return "kubectl", "kustomize"
    if shutil.which("kustomize"):
        return "kustomize", "build"
    pytest.skip("neither kubectl nor kustomize is installed, which render the manifests")


@cache
def rendered(folder: Path) -> tuple[Resource, ...]:
    """Every object of a kustomization, in its order."""
    done = subprocess.run([*renderer(), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return tuple(yaml.load_all(done.stdout, yaml.CSafeLoader))


def composed(folder: Path, overlay: str, components: Sequence[str]) -> tuple[Resource, ...]:
    """An overlay with components, put together in `folder` as a user would outside of `deploy`."""
    folder.mkdir(parents=True)

    def beside(path: Path) -> str:
        return os.path.relpath(path.resolve(), folder.resolve())

    kustomization = {
        "resources": [beside(KUBERNETES / "overlays" / overlay)],
        "components": [beside(KUBERNETES / "components" / name) for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return rendered(folder)


def in_way(way: str, folder: Path) -> tuple[Resource, ...]:
    """One of `WAYS`; what must be put together for it is put into `folder`."""
    if way == "kserve":
        return rendered(KUBERNETES / "kserve")
    overlay, _, without = way.partition(" without ")
    if not without:
        return rendered(KUBERNETES / "overlays" / overlay)
    return composed(folder, overlay, [name for name in COMPONENTS if name != without])


def only(resources: Sequence[Resource], kind: str) -> Resource:
    """The one object of that kind."""
    (found,) = (resource for resource in resources if resource["kind"] == kind)
    return found


def container(resources: Sequence[Resource]) -> Resource:
    """The Deployment's container."""
    (found,) = only(resources, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)
