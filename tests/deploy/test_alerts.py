"""Tests of the alerts: one source, a runbook entry for each, and each fires on its condition only."""

import re
import subprocess
from pathlib import Path

import yaml

from tests.deploy.kustomize import DEPLOY, KUBERNETES, RUNBOOK, container, render_kustomization
from tests.deploy.test_queries import alerts
from tests.external_programs import require_program

CASES = Path(__file__).parent / "alerts.test.yaml"


def test_prometheusrule_matches_alerts() -> None:
    rule = yaml.safe_load((DEPLOY / "prometheus/prometheusrule.yaml").read_text())
    plain = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    assert rule["spec"] == plain, "run `make alerts`"


def test_alert_has_one_runbook_entry() -> None:
    text = RUNBOOK.read_text()
    entries = re.findall(r"^### (Headlight\w+)$", text, re.MULTILINE)
    assert entries == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"docs/guides/kubernetes.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        written = text.split(f"### {rule['alert']}\n")[1].split("\n#")[0]
        assert len(written.split()) > 20


def test_memory_alert_fires_below_limit() -> None:
    (rule,) = (rule for rule in alerts() if rule["alert"] == "HeadlightMemoryNearLimit")
    limit = container(render_kustomization(KUBERNETES / "overlays/cpu"))["resources"]["limits"]["memory"]
    assert limit == "3Gi"
    found = re.search(r"> (\S+)", rule["expr"])
    assert found
    assert 0.8 < float(found[1]) / (3 * 2**30) < 0.95


def test_alert_has_a_promtool_case() -> None:
    cases = CASES.read_text()
    for rule in alerts():
        assert f'alertname="{rule["alert"]}"' in cases


def test_alerts_pass_promtool() -> None:
    promtool = require_program("promtool", "prometheus")
    done = subprocess.run([promtool, "test", "rules", str(CASES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
