"""What the manifests promise beyond their schemas: times that add up, settings that exist, and nothing that a pod may
do without need."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import limits
from service.app import create_app
from service.http.auth import ApiKeyStore
from service.settings import Settings
from service.shutdown import Phase
from tests.deploy.kustomize import (
    KUBERNETES,
    OVERLAYS,
    RUNBOOK,
    Resource,
    container,
    render_kustomization,
    render_overlay,
    single,
)

MIN_CLOSE_S = 5
"""What is left to close, at least, when requests have had their time."""


def pod(resources: tuple[Resource, ...]) -> Resource:
    """The pod's fields, and its container's under `containers`."""
    kinds = {resource["kind"]: resource for resource in resources}
    if "InferenceService" in kinds:
        return dict(kinds["InferenceService"]["spec"]["predictor"])
    return dict(kinds["Deployment"]["spec"]["template"]["spec"])


def variables(resources: tuple[Resource, ...]) -> dict[str, str]:
    """Its environment, but for what the cluster fills in."""
    return {one["name"]: one["value"] for one in pod(resources)["containers"][0]["env"] if "value" in one}


def test_settings_exist_and_are_valid(resources: tuple[Resource, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {name: value for name, value in variables(resources).items() if name.startswith("HEADLIGHT_")}
    assert {name.removeprefix("HEADLIGHT_").lower() for name in mine} <= Settings.model_fields.keys()
    mine.pop("HEADLIGHT_API_KEYS_FILE", None)  # which must be there to be taken
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    Settings()


def test_shutdown_times_fit_grace_period(resources: tuple[Resource, ...]) -> None:
    environment = variables(resources)
    delay_s, wait_s = (int(environment[f"HEADLIGHT_{name}_MS"]) / 1_000 for name in ("SHUTDOWN_DELAY", "QUEUE_TIMEOUT"))
    assert delay_s + limits.GRACEFUL_SHUTDOWN_TIMEOUT_S + MIN_CLOSE_S <= pod(resources)["terminationGracePeriodSeconds"]
    assert wait_s < limits.GRACEFUL_SHUTDOWN_TIMEOUT_S, "accepted requests finish before the grace period ends"
    readiness = pod(resources)["containers"][0]["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < delay_s, "it is seen to leave while it serves"


def test_probe_paths_exist(resources: tuple[Resource, ...], tiny: Path) -> None:
    (one,) = pod(resources)["containers"]
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    assert list(ports.values()) == [3000]
    with TestClient(create_app(Settings(models=(tiny,)))) as client:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            request = one[name]["httpGet"]
            assert client.get(request["path"]).status_code == 200
            assert request["port"] in {3000, *ports}
        ready = one["readinessProbe"]["httpGet"]["path"]
        state: Any = client.app.state.headlight  # type: ignore[attr-defined]
        state.lifecycle.advance(Phase.UNREADY)
        assert client.get(ready).status_code == 503
        assert client.get(one["livenessProbe"]["httpGet"]["path"]).status_code == 200


def test_pod_has_least_privilege(resources: tuple[Resource, ...]) -> None:
    whole = pod(resources)
    (one,) = whole["containers"]
    assert whole["securityContext"]["runAsNonRoot"] is True
    assert whole["securityContext"]["runAsUser"] >= 10_000
    assert whole["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert whole["automountServiceAccountToken"] is whole["enableServiceLinks"] is False
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [volume for volume in whole["volumes"] if "emptyDir" in volume]
    assert [volume["name"] for volume in writable] == ["tmp"]
    assert {"name": "tmp", "mountPath": variables(resources)["TMPDIR"]} in one["volumeMounts"], "and it is used"
    assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
    assert "memory" in one["resources"]["limits"]
    assert one["image"].startswith("registry.example.com/headlight:")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_match_pod_labels(overlay: str, tmp_path: Path) -> None:
    resources = render_overlay(tmp_path / "mine", overlay, ["monitoring", "keda"])
    deployment, service, policy = (single(resources, kind) for kind in ("Deployment", "Service", "NetworkPolicy"))
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        single(resources, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        policy["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in pod(resources)["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in container(resources)["ports"]}
    assert policy["spec"]["ingress"] == [{"ports": [{"port": 3000, "protocol": "TCP"}]}]
    assert policy["spec"]["egress"] == []
    monitor = single(resources, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["endpoints"]] == [port["name"]]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "headlight", "the job that every query asks for"


@pytest.mark.parametrize(("component", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_autoscaler_owns_replica_count(component: str, kind: str, tmp_path: Path) -> None:
    resources = render_overlay(tmp_path / "mine", "cpu", [component])
    deployment = single(resources, "Deployment")
    assert "replicas" not in deployment["spec"]
    target = single(resources, kind)["spec"]["scaleTargetRef"]
    assert target["name"] == deployment["metadata"]["name"]


def test_full_queue_fits_request_timeout() -> None:
    """By two processors, at the slowest rate that the docs tell of texts of some length."""
    environment = variables(render_kustomization(KUBERNETES / "overlays/cpu"))
    (row,) = re.findall(r"^\| mixed, 55 tokens \|.*\| ([\d,]+) \|$", RUNBOOK.read_text(), re.MULTILINE)
    waiting = int(environment["HEADLIGHT_MAX_QUEUE_TOKENS"]) * (1 + 1 / limits.SMALL_RESERVE_DIVISOR)
    assert waiting / int(row.replace(",", "")) * 1_000 < int(environment["HEADLIGHT_QUEUE_TIMEOUT_MS"])


def test_api_keys_reload_when_secret_changes(tmp_path: Path) -> None:
    resources = render_overlay(tmp_path / "mine", "cpu", ["api-keys"])
    (mount,) = (one for one in container(resources)["volumeMounts"] if one["name"] == "api-keys")
    file = Path(variables(resources)["HEADLIGHT_API_KEYS_FILE"])
    assert "subPath" not in mount, "what is mounted so never changes"
    assert str(file.parent) == mount["mountPath"]

    def write_secret(version: str) -> None:  # as the kubelet does: a new folder, and then one link at once
        (tmp_path / version).mkdir()
        (tmp_path / version / file.name).write_text(f"{version}\n")
        (tmp_path / "..new").symlink_to(version)
        (tmp_path / "..new").replace(tmp_path / "..data")

    write_secret("first")
    (tmp_path / file.name).symlink_to(f"..data/{file.name}")
    api_keys = ApiKeyStore(file=tmp_path / file.name)
    assert api_keys.is_valid(b"first")
    write_secret("second")
    api_keys._last_checked = 0.0
    assert api_keys.is_valid(b"second")
    assert not api_keys.is_valid(b"first")


def test_kserve_matches_cpu_overlay() -> None:
    ours, theirs = (pod(render_kustomization(KUBERNETES / folder)) for folder in ("overlays/cpu", "kserve"))
    assert ours["containers"][0]["resources"] == theirs["containers"][0]["resources"]
    assert ours["terminationGracePeriodSeconds"] == theirs["terminationGracePeriodSeconds"]
    assert (
        variables(render_kustomization(KUBERNETES / "overlays/cpu")).items()
        <= variables(render_kustomization(KUBERNETES / "kserve")).items()
    )
