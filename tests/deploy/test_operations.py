"""Tests of the Kubernetes guide: its example renders, and its figures are the measured ones."""

import os
import re
from pathlib import Path

from bench.server import ROOT
from tests.deploy.kustomize import RUNBOOK, render_kustomization, single

TEXT = RUNBOOK.read_text()


def test_kustomization_example_renders(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    mine = tmp_path / "mine"
    mine.mkdir()
    here = os.path.relpath(ROOT.resolve(), mine.resolve())
    (mine / "kustomization.yaml").write_text(example.replace("../headlight", here))
    resources = render_kustomization(mine)
    deployment = single(resources, "Deployment")
    assert deployment["metadata"]["namespace"] == "models"
    (one,) = deployment["spec"]["template"]["spec"]["containers"]
    assert one["image"] == "registry.my.org/headlight:0.1.0"
    kinds = {resource["kind"] for resource in resources}
    assert {"ScaledObject", "ServiceMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy"} <= kinds


def test_rates_match_benchmarks() -> None:
    measured = (ROOT / "docs/benchmarks.md").read_text()
    rows = re.findall(r"^\| (short|mixed|long|images)\b([^|]*)\| ([\d.]+) \|", TEXT, re.MULTILINE)
    assert len(rows) == 5
    for kind, _, rate in rows:
        assert re.search(rf"^\| {kind}\b.*\| {re.escape(rate)} \|", measured, re.MULTILINE)
