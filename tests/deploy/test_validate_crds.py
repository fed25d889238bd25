"""Tests of `validate_crds` with a definition made for it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.validate_crds import load_crd_schemas, schema_errors

SCHEMA = {
    "type": "object",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "properties": {
                "lamps": {"type": "array", "items": {"type": "object", "properties": {"watts": {"type": "integer"}}}},
                "port": {"type": "string", "x-kubernetes-int-or-string": True},
                "free": {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    },
}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"lamps": [{"watts": 3}], "port": 80, "free": {"any": 1}, "labels": {"a": "b"}}, ""),
        ({"port": "http"}, ""),
        ({"lamps": [{"watts": 3}, {"wats": 3}]}, "Lighthouse $.spec.lamps[1]: "),
        ({"lamps": [{"watts": "three"}]}, "Lighthouse $.spec.lamps[0].watts: "),
        ({"lamp": []}, "Lighthouse $.spec: "),
        ({"labels": {"a": 1}}, "Lighthouse $.spec.labels.a: "),
    ],
)
def test_unknown_fields_are_rejected(spec: dict[str, Any], message: str, tmp_path: Path) -> None:
    version = {"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}}
    crd = {"spec": {"group": "sea.example", "names": {"kind": "Lighthouse"}, "versions": [version]}}
    (tmp_path / "lighthouse.yaml").write_text(yaml.safe_dump(crd))
    resource = {"apiVersion": "sea.example/v1", "kind": "Lighthouse", "metadata": {"name": "a"}, "spec": spec}
    other = {**resource, "apiVersion": "sea.example/v2", "spec": {"lamp": []}}
    found = list(schema_errors((resource, other), load_crd_schemas(tmp_path)))
    assert len(found) == bool(message)
    assert all(line.startswith(message) for line in found)
