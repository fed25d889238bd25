"""What the manifests promise beyond their schemas: times that add up, settings that exist, and nothing that a pod may
do without need."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.engine.admission import SMALL_SHARE
from service.keyring import Keyring
from service.options import GRACE_S
from service.settings import Settings
from tests.deploy.render import KUBERNETES, OVERLAYS, RUNBOOK, Resource, composed, container, only, rendered

CLOSE_S = 5
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


def test_settings_exist_and_hold(resources: tuple[Resource, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {name: value for name, value in variables(resources).items() if name.startswith("HEADLIGHT_")}
    assert {name.removeprefix("HEADLIGHT_").lower() for name in mine} <= Settings.model_fields.keys()
    mine.pop("HEADLIGHT_API_KEYS_FILE", None)  # which must be there to be taken
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    Settings()


def test_times_add_up(resources: tuple[Resource, ...]) -> None:
    told = variables(resources)
    drain_s, wait_s = (int(told[f"HEADLIGHT_{name}_MS"]) / 1_000 for name in ("DRAIN", "REQUEST_TIMEOUT"))
    assert drain_s + GRACE_S + CLOSE_S <= pod(resources)["terminationGracePeriodSeconds"]
    assert wait_s < GRACE_S, "whoever was accepted is answered before the server is told to stop waiting"
    readiness = pod(resources)["containers"][0]["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < drain_s, "it is seen to leave while it serves"


def test_probes_ask_what_the_server_answers(resources: tuple[Resource, ...], tiny: Path) -> None:
    (one,) = pod(resources)["containers"]
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    assert list(ports.values()) == [3000]
    with TestClient(create_app(Settings(models=(tiny,)))) as client:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = one[name]["httpGet"]
            assert client.get(asked["path"]).status_code == 200
            assert asked["port"] in {3000, *ports}
        ready = one["readinessProbe"]["httpGet"]["path"]
        state: Any = client.app.state.headlight  # type: ignore[attr-defined]
        state.leaving = True
        assert client.get(ready).status_code == 503
        assert client.get(one["livenessProbe"]["httpGet"]["path"]).status_code == 200


def test_a_pod_may_do_nothing_that_it_need_not(resources: tuple[Resource, ...]) -> None:
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
def test_what_selects_selects_it(overlay: str, tmp_path: Path) -> None:
    resources = composed(tmp_path / "mine", overlay, ["monitoring", "keda"])
    deployment, service, policy = (only(resources, kind) for kind in ("Deployment", "Service", "NetworkPolicy"))
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        only(resources, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
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
    monitor = only(resources, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["endpoints"]] == [port["name"]]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "headlight", "the job that every query asks for"


@pytest.mark.parametrize(("component", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_one_says_how_many(component: str, kind: str, tmp_path: Path) -> None:
    resources = composed(tmp_path / "mine", "cpu", [component])
    deployment = only(resources, "Deployment")
    assert "replicas" not in deployment["spec"]
    target = only(resources, kind)["spec"]["scaleTargetRef"]
    assert target["name"] == deployment["metadata"]["name"]


def test_what_is_accepted_is_answered() -> None:
    """By two processors, at the slowest rate that the docs tell of texts of some length."""
    told = variables(rendered(KUBERNETES / "overlays/cpu"))
    (row,) = re.findall(r"^\| mixed, 55 tokens \|.*\| ([\d,]+) \|$", RUNBOOK.read_text(), re.MULTILINE)
    waiting = int(told["HEADLIGHT_MAX_QUEUE_TOKENS"]) * (1 + 1 / SMALL_SHARE)
    assert waiting / int(row.replace(",", "")) * 1_000 < int(told["HEADLIGHT_REQUEST_TIMEOUT_MS"])


def test_keys_are_read_anew_as_a_mounted_secret_changes(tmp_path: Path) -> None:
    resources = composed(tmp_path / "mine", "cpu", ["api-keys"])
    (mount,) = (one for one in container(resources)["volumeMounts"] if one["name"] == "api-keys")
    file = Path(variables(resources)["HEADLIGHT_API_KEYS_FILE"])
    assert "subPath" not in mount, "what is mounted so never changes"
    assert str(file.parent) == mount["mountPath"]

    def put(version: str) -> None:  # as the kubelet does: a new folder, and then one link at once
        (tmp_path / version).mkdir()
        (tmp_path / version / file.name).write_text(f"{version}\n")
        (tmp_path / "..new").symlink_to(version)
        (tmp_path / "..new").replace(tmp_path / "..data")

    put("first")
    (tmp_path / file.name).symlink_to(f"..data/{file.name}")
    ring = Keyring(file=tmp_path / file.name)
    assert ring.admits(b"first")
    put("second")
    ring._looked = 0.0
    assert ring.admits(b"second")
    assert not ring.admits(b"first")


def test_kserve_and_the_overlay_differ_in_nothing_else() -> None:
    ours, theirs = (pod(rendered(KUBERNETES / folder)) for folder in ("overlays/cpu", "kserve"))
    assert ours["containers"][0]["resources"] == theirs["containers"][0]["resources"]
    assert ours["terminationGracePeriodSeconds"] == theirs["terminationGracePeriodSeconds"]
    assert (
        variables(rendered(KUBERNETES / "overlays/cpu")).items() <= variables(rendered(KUBERNETES / "kserve")).items()
    )
