"""Objects that `kubectl apply -k` would send."""

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
RUNBOOK = ROOT / "docs/guides/kubernetes.md"
OVERLAYS = ["cpu", "gpu"]
COMPONENTS = ["api-keys", "monitoring", "keda", "hpa"]
OTHER_SCALER = {"keda": "hpa", "hpa": "keda"}
"""One of the two scales, never both."""
VARIANTS = [
    *OVERLAYS,
    "kserve",
    *(f"{overlay} without {OTHER_SCALER[scaler]}" for overlay in OVERLAYS for scaler in OTHER_SCALER),
]
"""Each overlay alone, each with all components but one of the two that scale, and KServe's."""


@cache
def kustomize_command() -> tuple[str, ...]:
    """The command that renders a folder. Skips the test where there is none."""
    if shutil.which("kubectl"):
        return "kubectl", "kustomize"
    if shutil.which("kustomize"):
        return "kustomize", "build"
    pytest.skip("neither kubectl nor kustomize is installed, which render the manifests")


@cache
def render_kustomization(folder: Path) -> tuple[Resource, ...]:
    """Every object of a kustomization, in its order."""
    done = subprocess.run([*kustomize_command(), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return tuple(yaml.load_all(done.stdout, yaml.CSafeLoader))


def render_overlay(folder: Path, overlay: str, components: Sequence[str]) -> tuple[Resource, ...]:
    """An overlay with components, put together in `folder` as a user would outside of `deploy`."""
    folder.mkdir(parents=True)

    def relative(path: Path) -> str:
        return os.path.relpath(path.resolve(), folder.resolve())

    kustomization = {
        "resources": [relative(KUBERNETES / "overlays" / overlay)],
        "components": [relative(KUBERNETES / "components" / name) for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render_kustomization(folder)


def render_variant(variant: str, folder: Path) -> tuple[Resource, ...]:
    """One of `VARIANTS`; what must be put together for it is put into `folder`."""
    if variant == "kserve":
        return render_kustomization(KUBERNETES / "kserve")
    overlay, _, without = variant.partition(" without ")
    if not without:
        return render_kustomization(KUBERNETES / "overlays" / overlay)
    return render_overlay(folder, overlay, [name for name in COMPONENTS if name != without])


def single(resources: Sequence[Resource], kind: str) -> Resource:
    """The one object of that kind."""
    (found,) = (resource for resource in resources if resource["kind"] == kind)
    return found


def container(resources: Sequence[Resource]) -> Resource:
    """The Deployment's container."""
    (found,) = single(resources, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)
