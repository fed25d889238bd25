"""Tests that every query of alerts, dashboard and autoscaling uses metrics of a running server."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.kustomize import DEPLOY, KUBERNETES
from tests.deploy.promql import grouping_labels, selectors
from tests.server import serve

ExportedSeries = dict[str, list[dict[str, str]]]
"""Labels of every series, by its name."""

SCRAPE_LABELS = {"job", "instance", "namespace", "pod"}
"""Labels that Prometheus puts on what it scrapes; `up` it makes itself."""
LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads((DEPLOY / "grafana/headlight.json").read_text())
    return board


def expressions() -> Iterator[tuple[str, str]]:
    """Each with where it stands."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            match = LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert match, variable["query"]
            yield f"${variable['name']}", f"count by ({match[2]}) ({match[1]})"
    scaled = yaml.safe_load((KUBERNETES / "components/keda/scaledobject.yaml").read_text())
    for trigger in scaled["spec"]["triggers"]:
        yield "keda", trigger["metadata"]["query"]


EXPRESSIONS = dict(expressions())


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedSeries:
    """What a server says of itself after an answer, a refusal and a look without a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("a key\n")
    with serve(tiny, api_keys_file=keys, cache_bytes=2**20) as server, httpx.Client(base_url=server.url) as client:
        body = {"model": "tiny", "input": ["the old lamp", "the lamp"]}
        codes = [
            client.post("/v1/embeddings", json=body, headers={"X-Api-Key": key}).status_code
            for key in ("a key", "none")
        ]
        assert codes == [200, 401]
        text = client.get("/metrics").text
    found: ExportedSeries = defaultdict(list, up=[{}])
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append(sample.labels)
    return dict(found)


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_queried_series_are_exported(where: str, exported: ExportedSeries) -> None:
    expression = EXPRESSIONS[where]
    queried = selectors(expression)
    assert queried
    for question in queried:
        assert question.name in exported, f"{question.name} is exported by nobody"
        series = exported[question.name]
        assert question.labels <= SCRAPE_LABELS.union(*series), question.name
        for label, value in question.exact_labels:
            has = {one[label] for one in series if label in one}
            # Providers and codes are those of this server; reasons and results are the same everywhere.
            assert value in has or label in SCRAPE_LABELS or label == "provider", f"{question.name}: {label}={value}"
        assert dict(question.exact_labels).get("job") == "headlight", "other programs export process_* too"
    known = SCRAPE_LABELS.union(*(labels for question in queried for labels in exported[question.name]))
    assert grouping_labels(expression) <= known


def test_unknown_series_is_detected(exported: ExportedSeries) -> None:
    (question,) = selectors('sum by (le) (rate(headlight_queue_seconds_bucket{job="headlight"}[5m]))')
    assert question.name not in exported
    assert grouping_labels("a / on (x) group_left () sum by (y) (b)") == {"x", "y"}
    with pytest.raises(ValueError, match="paren"):
        selectors("sum by (le) (rate(headlight_rejected_total[5m])")
