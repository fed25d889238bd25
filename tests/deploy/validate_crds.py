"""Holds the custom objects against definitions at hand: `python -m tests.deploy.validate_crds FOLDER`, of YAML files.

The suite does without, for it fetches nothing: run this over the definitions of the versions that you have, or when the
manifests change. All held on KEDA 2.14.0 and 2.20.1, Prometheus' operator 0.70.0 and 0.93.0, KServe 0.16.0 to 0.20.0.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.deploy.kustomize import VARIANTS, Resource, render_variant

Schemas = dict[tuple[str, str], Resource]
"""By kind and apiVersion."""


def load_crd_schemas(folder: Path) -> Schemas:
    """Of every file, closed: a cluster drops fields that they do not name, here they are refused."""
    schemas = {}
    for file in sorted(folder.glob("*.yaml")):
        for crd in yaml.load_all(file.read_text(), yaml.CSafeLoader):
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = close_schema(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                schemas[spec["names"]["kind"], f"{spec['group']}/{version['name']}"] = schema
    return schemas


def close_schema(schema: Any) -> Any:
    """The schema with no property allowed that it does not name, and Kubernetes' own words as JSON Schema has them."""
    if isinstance(schema, list):
        return [close_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: close_schema(value) for name, value in schema.items()}
    if isinstance(inner.get("properties"), dict) and "additionalProperties" not in inner and "type" in inner:
        inner["additionalProperties"] = bool(inner.get("x-kubernetes-preserve-unknown-fields"))
    if inner.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    return inner


def schema_errors(resources: tuple[Resource, ...], schemas: Schemas) -> Iterator[str]:
    """A line each, of the objects that have a definition."""
    for resource in resources:
        schema = schemas.get((resource["kind"], resource["apiVersion"]))
        for error in jsonschema.Draft202012Validator(schema).iter_errors(resource) if schema else ():
            yield f"{resource['kind']} {error.json_path}: {error.message}"


def main(folder: Path) -> str:
    """What was held, in one line. Exits with the mistakes where there are any, or where nothing was held."""
    schemas = load_crd_schemas(folder)
    errors: set[str] = set()
    validated: set[str] = set()
    for variant in VARIANTS:
        with tempfile.TemporaryDirectory() as mine:
            resources = render_variant(variant, Path(mine) / "mine")
        errors.update(schema_errors(resources, schemas))
        validated.update(one["kind"] for one in resources if (one["kind"], one["apiVersion"]) in schemas)
    if errors or not validated:
        sys.exit("\n".join(sorted(errors)) or f"no definition in {folder} matches our custom objects")
    return f"valid: {', '.join(sorted(validated))}\n"


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])))
