"""Tests of the dashboard: valid for Grafana, and readable."""

import json
import re
from itertools import combinations
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from service.api import DIALECTS
from service.ops.endpoints import OPERATIONS
from tests.deploy.test_queries import dashboard
from tests.deploy.test_schemas import assert_nothing_lost

UNITS = {"short", "s", "bytes", "percentunit", "reqps", "cps"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def test_dashboard_matches_grafana_schema() -> None:
    register_default_plugins()
    passed = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard())))
    assert_nothing_lost(dashboard(), passed, "dashboard")


def test_panels_do_not_overlap() -> None:
    areas = [panel["gridPos"] for panel in dashboard()["panels"]]
    for area in areas:
        assert area["x"] + area["w"] <= 24
    for a, b in combinations(areas, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


def test_panel_has_title_unit_and_source() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    for panel in panels():
        if panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["datasource"]["uid"] == "${datasource}"
        if panel["type"] == "timeseries":
            assert all(target["legendFormat"] for target in panel["targets"])


def test_request_panels_exclude_probes() -> None:
    """Whatever they are called: an orchestrator's every two seconds would be most of a quiet server's requests."""
    probes = [one.path for dialect in (*DIALECTS, OPERATIONS) for one in dialect.endpoints if one.is_probe]
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    of_requests = [each for each in expressions if "headlight_request" in each]
    assert of_requests
    for expression in of_requests:
        for excluded in re.findall(r'headlight_request\w+{[^}]*?route!~"([^"]*)"', expression):
            assert all(re.fullmatch(excluded, path) for path in probes)
            assert not re.fullmatch(excluded, "/v1/embeddings")
        assert expression.count("{job=") == expression.count("route!~")


def test_queries_use_dashboard_variables() -> None:
    for panel in panels():
        for target in panel["targets"]:
            assert 'namespace=~"$namespace", pod=~"$pod"' in target["expr"]
    assert {variable["name"] for variable in dashboard()["templating"]["list"]} == {
        "datasource",
        "namespace",
        "pod",
        "model",
    }
