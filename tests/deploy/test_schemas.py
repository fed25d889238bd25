"""Every object is what its kind's schema says, without a field that the schema does not know. Nothing is fetched.

Kubernetes' own schemas come with kubernetes-validate. Those of KEDA and of Prometheus' operator are models made from
their CustomResourceDefinitions; models drop what they do not know, so nothing may be lost on the way through them. No
package carries KServe's: of an InferenceService the pod within is looked at by Kubernetes' schema and the rest against
a list of its fields here. `validate_crds` holds them all against the projects' own, where those are at hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from pydantic import BaseModel, ValidationError

from tests.deploy.kustomize import KUBERNETES, Resource, render_kustomization, render_overlay, single

VERSIONS = ["1.30", "1.37"]
"""Kubernetes': the oldest whose defaults the manifests rely on, and the newest that the validator has."""

MODELS: dict[str, type[BaseModel]] = {
    "ScaledObject": ScaledObject,
    "ServiceMonitor": ServiceMonitor,
    "PrometheusRule": PrometheusRule,
}

SCALING_FIELDS = {"minReplicas": int, "maxReplicas": int, "scaleMetric": str, "scaleTarget": int}
"""The predictor fields that our manifests add to those of a pod (KServe, serving.kserve.io/v1beta1)."""


def assert_valid(resource: Resource) -> None:
    """Raises ValidationError or AssertionError."""
    kind = resource["kind"]
    if kind == "InferenceService":
        _assert_valid_inference_service(resource)
    elif kind in MODELS:
        passed = MODELS[kind].model_validate(resource).model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert_nothing_lost(resource, passed, kind)
    else:
        for version in VERSIONS:
            kubernetes_validate.validate(resource, version, strict=True)


def _assert_valid_inference_service(resource: Resource) -> None:
    assert resource.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert resource["apiVersion"] == "serving.kserve.io/v1beta1"
    assert resource["spec"].keys() == {"predictor"}
    predictor = resource["spec"]["predictor"]
    for name, kind in SCALING_FIELDS.items():
        assert isinstance(predictor[name], kind)
    pod = {name: value for name, value in predictor.items() if name not in SCALING_FIELDS}
    assert_valid({"apiVersion": "v1", "kind": "Pod", "metadata": resource["metadata"], "spec": pod})


def assert_nothing_lost(given: Any, passed: Any, where: str) -> None:
    """Each field of `given` is in `passed`, with the same value."""
    if isinstance(given, Mapping):
        assert given.keys() <= passed.keys(), f"{where}: unknown {given.keys() - passed.keys()}"
        for name in given:
            assert_nothing_lost(given[name], passed[name], f"{where}.{name}")
    elif isinstance(given, list):
        for i, (one, other) in enumerate(zip(given, passed, strict=True)):
            assert_nothing_lost(one, other, f"{where}[{i}]")
    else:
        assert given == passed, where


def test_objects_match_their_schemas(resources: tuple[Resource, ...]) -> None:
    for resource in resources:
        assert_valid(resource)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "replicaz"), 2),
        ("Deployment", ("spec", "replicas"), "two"),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "securityContext", "readOnlyRoot"), True),
        ("ScaledObject", ("spec", "minReplicas"), 2),
        ("ScaledObject", ("spec", "pollingInterval"), "soon"),
        ("ServiceMonitor", ("spec", "endpoints", 0, "ports"), "http"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "labels", "severity"), 3),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "annotation"), {}),
        ("InferenceService", ("spec", "predictor", "minReplica"), 2),
        ("InferenceService", ("spec", "predictor", "containers", 0, "probe"), {}),
    ],
)
def test_invalid_object_is_detected(kind: str, path: tuple[str | int, ...], value: object, tmp_path: Path) -> None:
    whole = (
        render_kustomization(KUBERNETES / "kserve")
        if kind == "InferenceService"
        else render_overlay(tmp_path / "mine", "cpu", ["keda", "monitoring"])
    )
    resource = yaml.safe_load(yaml.safe_dump(single(whole, kind)))
    if kind == "Deployment":
        resource["spec"]["replicas"] = 2  # which what scales took out
    assert_valid(resource)
    at = resource
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises((AssertionError, ValidationError, kubernetes_validate.ValidationError)):
        assert_valid(resource)
