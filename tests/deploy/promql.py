"""Metrics and labels of a PromQL expression, by a parser."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from promql_parser import AggregateExpr, BinaryExpr, Expr, Matcher, MatchOp, VectorSelector, parse, walk

GRAFANA_VARIABLES = {"$__rate_interval": "1m", "$namespace": ".*", "$pod": ".*", "$model": ".*"}
"""What Grafana puts in before it asks."""


Node = TypeVar("Node", bound=Expr)


@dataclass(frozen=True)
class Selector:
    """One selector: a series' name, and the labels that it must have."""

    name: str
    matchers: tuple[Matcher, ...]

    @property
    def exact_labels(self) -> Iterator[tuple[str, str]]:
        """Labels that must have one value, for there to be an answer."""
        return ((matcher.name, matcher.value) for matcher in self.matchers if matcher.op == MatchOp.Equal)

    @property
    def labels(self) -> set[str]:
        return {matcher.name for matcher in self.matchers}


def selectors(expression: str) -> list[Selector]:
    """Every selector in it. Raises ValueError where it is no PromQL."""
    return [Selector(node.name or "", tuple(node.matchers.matchers)) for node in _nodes(expression, VectorSelector)]


def grouping_labels(expression: str) -> set[str]:
    """Every label that it groups or joins by."""
    by = {label for node in _nodes(expression, AggregateExpr) if node.modifier for label in node.modifier.labels}
    joins = (node.modifier.matching for node in _nodes(expression, BinaryExpr) if node.modifier)
    return by | {label for matching in joins if matching for label in matching.labels}


def _nodes(expression: str, kind: type[Node]) -> list[Node]:
    for name, value in GRAFANA_VARIABLES.items():
        expression = expression.replace(name, value)
    found: list[Node] = []

    def visit(node: Expr) -> None:
        if isinstance(node, kind):
            found.append(node)

    walk(parse(expression), visit)
    return found
