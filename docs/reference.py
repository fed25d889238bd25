"""Pages of the documentation that are generated: the reference, the index of decisions, and files of the root."""

import argparse
import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from locust.argument_parser import LocustArgumentParser
from prometheus_client.metrics_core import Metric

import export.__main__
import loadtests.compare
import loadtests.options
from models.artifact.manifest import Manifest
from service import cli
from service.api import DIALECTS
from service.http.endpoints import Dialect
from service.ops.endpoints import OPERATIONS
from service.ops.metrics import Metrics
from service.ops.openapi import ERROR_DESCRIPTIONS, build_openapi
from service.settings import DEPRECATED, PREFIX, Settings

ROOT = Path(__file__).parents[1]
ADR_FOLDER = ROOT / "docs/adr"


def generated_pages() -> dict[str, str]:
    """Return the Markdown of every generated page by its path in the site."""
    return {
        "reference/http-api.md": http_api(),
        "reference/settings.md": settings(),
        "reference/limits.md": limits(),
        "reference/metrics.md": metrics(),
        "reference/command-line.md": command_line(),
        "reference/artifact.md": artifact_format(),
        "adr/index.md": decisions(),
        "contributing.md": from_root("CONTRIBUTING.md"),
        "changelog.md": from_root("CHANGELOG.md"),
    }


def settings() -> str:
    """Return the table of settings, from the fields of `Settings`."""
    rows = [
        (f"`{PREFIX}{name.upper()}`", f"`{_default(field.default)}`", field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    old = [(f"`{PREFIX}{old.upper()}`", f"`{PREFIX}{new.upper()}`") for old, new in DEPRECATED.items()]
    return "\n".join(
        (
            "# Settings",
            "",
            "Settings are environment variables, read at start. A variable that begins with `HEADLIGHT_` and is not in",
            "this table is refused, unless Kubernetes sets it for a Service of that name.",
            "",
            *table(("variable", "default", "meaning"), rows),
            "",
            "Address, port, TLS and shutdown timeout are options of the [command line](command-line.md).",
            "",
            "## Deprecated names",
            "",
            "These work in this release, with a warning.",
            "",
            *table(("deprecated", "use"), old),
        )
    )


def limits() -> str:
    """Return the tables of limits, from the docstrings of the constants."""
    lines = [
        "# Limits",
        "",
        "Beyond a limit a request gets its typed error, and costs no other request anything. These limits are fixed;",
        "those that operators choose are [settings](settings.md).",
    ]
    sections = _constants("service.limits")
    for title, modules in _LIMITS_ELSEWHERE.items():
        rows = [row for module in modules for section in _constants(module).values() for row in section]
        sections[title] = [row for row in rows if row[0].startswith("`MAX_")]
    for title, rows in sections.items():
        lines += ["", f"## {title}", "", *table(("limit", "value", "meaning"), rows)]
    return "\n".join(lines)


_LIMITS_ELSEWHERE = {
    "Reading texts and images": ("models.preprocess.text", "models.preprocess.image_limits"),
    "Attention images": tuple(f"service.visualization.{name}" for name in ("page", "panel_grid", "text_heatmap")),
}
"""Modules with limits of their own: they run without the service."""


def _constants(module_name: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return rows of name, value and docstring of a module's numbers by section; a comment at the margin begins one."""
    module = importlib.import_module(module_name)
    source = inspect.getsource(module)
    titles = {n: line[2:] for n, line in enumerate(source.splitlines(), 1) if line.startswith("# ")}
    sections: dict[str, list[tuple[str, str, str]]] = {}
    for node, after in pairwise(ast.parse(source).body):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        name = target.id if isinstance(target, ast.Name) else ""
        value = getattr(module, name, None)
        if isinstance(value, int | float) and isinstance(after, ast.Expr):
            text = " ".join(str(ast.literal_eval(after.value)).split())
            title = titles.get(max((n for n in titles if n < node.lineno), default=0), "")
            sections.setdefault(title, []).append((f"`{name}`", f"{value:,}", text))
    return sections


def metrics() -> str:
    """Return the table of metrics, from the registry."""
    families: list[Metric] = sorted(Metrics().registry.collect(), key=lambda family: family.name)
    rows = [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, family.documentation)
        for family in families
        if family.name.startswith("headlight_")
    ]
    return "\n".join(
        (
            "# Metrics",
            "",
            "`GET /metrics` returns them in Prometheus' text format, with the process' own memory, CPU time and file",
            "descriptors. Labels are route templates, models and codes, never paths or contents. The alerts and the",
            "dashboard of `deploy/` use them: see the [Kubernetes guide](../guides/kubernetes.md).",
            "",
            *table(("metric", "type", "meaning"), rows),
        )
    )


def command_line() -> str:
    """Return the options of every command, from their parsers."""
    locust = LocustArgumentParser(add_help=False)
    loadtests.options.add_arguments(locust)
    commands: Mapping[str, argparse.ArgumentParser] = {
        "python -m service": cli.build_parser(),
        "python -m export": export.__main__.build_parser(),
        "locust -f loadtests/locustfile.py": locust,
        "python -m loadtests.compare": loadtests.compare.build_parser(),
    }
    lines = ["# Command line", "", "`make help` lists the make targets and their variables."]
    for command, parser in commands.items():
        lines += ["", f"## `{command}`", "", parser.description or "Options in addition to Locust's own.", ""]
        lines += table(("option", "default", "meaning"), _options(parser))
    return "\n".join(lines)


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    for action in parser._actions:  # noqa: SLF001  # argparse has no public list
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):  # noqa: SLF001
            continue
        names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.dest}`"
        choices = f" One of {', '.join(f'`{choice}`' for choice in action.choices)}." if action.choices else ""
        default = "" if action.default in (None, argparse.SUPPRESS, "") else f"`{action.default}`"
        yield names, default, f"{_sentence((action.help or '') % {'default': action.default})}{choices}"


def http_api() -> str:
    """Return the endpoints by API, their request fields and error codes, from the OpenAPI document."""
    dialects = (*DIALECTS, OPERATIONS)
    document = build_openapi(dialects)
    lines = [
        "# HTTP API",
        "",
        "The running server describes itself: this page is made from its OpenAPI document, `/openapi.json`, and",
        "`/docs` lets you try every example in the browser.",
    ]
    for dialect in dialects:
        lines += ["", f"## {dialect.name}", "", *table(("method", "path", "summary", "key"), _endpoints(dialect))]
    headers = document["components"]["parameters"].values()
    lines += [
        "",
        "## Request headers",
        "",
        *table(("header", "meaning"), ((f"`{h['name']}`", h["description"]) for h in headers)),
    ]
    lines += ["", "## Errors", "", "The codes are stable. Each API has its own format of errors.", ""]
    lines += [
        "",
        *table(("status", "codes and reasons"), ((str(code), text) for code, text in ERROR_DESCRIPTIONS.items())),
    ]
    lines += ["", "## Schemas"]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if fields := list(_fields(schema)):
            lines += [
                "",
                f"### {name}",
                "",
                schema.get("description", ""),
                "",
                *table(("field", "type", "meaning"), fields),
            ]
    return "\n".join(lines)


def _endpoints(dialect: Dialect) -> Iterator[tuple[str, str, str, str]]:
    for endpoint in dialect.endpoints:
        yield (
            endpoint.method,
            f"`{endpoint.path}`",
            endpoint.summary,
            "" if endpoint.public else "required if configured",
        )


def artifact_format() -> str:
    """Return the fields of the manifest, from its models."""
    schema = Manifest.model_json_schema()
    lines = [
        "# Artifact format",
        "",
        "An artifact is a directory that `make export` writes and the service reads:",
        "",
        *table(
            ("file", "contents"),
            (
                ("`manifest.json`", "everything that a reader must know, and the SHA-256 of the other files"),
                ("`model.onnx`", "the graph, with attention in conditional branches"),
                ("`weights.bin`", "the weights, as external data of the graph"),
                ("`tokenizer.json`", "the tokenizer of a text model"),
            ),
        ),
        "",
        "The service refuses artifacts of another format version: then export the model again.",
        "",
        "## manifest.json",
        "",
        *table(("field", "type", "meaning"), _fields(schema)),
    ]
    for name, section in sorted(schema["$defs"].items()):
        if fields := list(_fields(section)):
            lines += [
                "",
                f"### {name}",
                "",
                section.get("description", ""),
                "",
                *table(("field", "type", "meaning"), fields),
            ]
    return "\n".join(lines)


def _section(name: str, schema: Mapping[str, Any], fields: Sequence[tuple[str, str, str]]) -> list[str]:
    return ["", f"### {name}", "", schema.get("description", ""), "", *table(("field", "type", "meaning"), fields)]


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        yield f"`{name}`", _type(field), field.get("description", "")


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(option) for option in field["anyOf"]))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if "items" in field else "list"
    return str(field.get("type", "any"))


def decisions() -> str:
    """Return the index of decision records, from their heads."""
    rows = [
        (f"[{title}]({path.name})", status, date)
        for path in sorted(ADR_FOLDER.glob("0*.md"))
        for title, status, date in [_decision(path)]
    ]
    lines = (
        "# Decisions",
        "",
        "Each record says what was decided, why, and what follows. A decision that no longer holds names the one that",
        "supersedes it.",
        "",
        *table(("decision", "status", "date"), rows),
    )
    return "\n".join(lines)


def _decision(path: Path) -> tuple[str, str, str]:
    match = re.match(r"# (.+)\n\n- Status: (.+)\n- Date: (\S+)\n", path.read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f"{path.name} does not begin with a title, a status and a date")
    return match[1], match[2], match[3]


def from_root(name: str) -> str:
    """Return a file of the repository's root, with its links as the site has them."""
    text = (ROOT / name).read_text(encoding="utf-8")
    pages = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "guides/security.md"}

    def link(match: re.Match[str]) -> str:
        target = match[1]
        if target.startswith("http"):
            return match[0]
        if target.startswith("docs/"):
            return f"]({target.removeprefix('docs/')})"
        return f"]({pages[target]})" if target in pages else match[0]

    text = re.sub(r"\[([^\]]+)\]\((STYLE\.md)\)", r"`\2`", text)
    return re.sub(r"\]\(([^)]+)\)", link, text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    escape: Callable[[str], str] = lambda cell: cell.replace("|", "\\|").replace("\n", " ")  # noqa: E731
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(map(escape, row))} |" for row in rows),
    ]


def _default(value: object) -> str:
    return "none" if value in (None, ()) else str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
