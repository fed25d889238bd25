"""Comparison of two servers: the same load on one and the other in turn, and the ratios of their figures.

`python -m loadtests.compare --a http://127.0.0.1:3000 --b http://127.0.0.1:8080 --rounds 3 -- -u 16 -t 10s TextUser`

Arguments after `--` are passed to Locust. `--options-a` and `--options-b` hold options for one server only (such as a
model's name), in one string each. The last line is one JSON object. Ratios are b to a, medians over the rounds.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.deprecated_options import add_renamed

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
FIGURES = ("requests_per_s", "p50_ms", "p95_ms", "p99_ms", "mean_ms", "failures", "dropped", "in_flight")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; return 1 if a run did not finish, or if requests failed."""
    args = build_parser().parse_args(arguments)
    runs: dict[str, list[dict[str, Any]]] = {"a": [], "b": []}
    for i in range(args.rounds):
        for name in ("a", "b") if i % 2 == 0 else ("b", "a"):  # so that neither always comes after the other
            figures_of_run = run_locust(
                getattr(args, name), [*args.locust, *shlex.split(getattr(args, f"options_{name}"))]
            )
            if figures_of_run is None:
                print(f"not compared: the run against {name} did not finish", file=sys.stderr)
                return 1
            runs[name].append(figures_of_run)
            print(
                f"round {i + 1}, {name}: {figures_of_run['requests_per_s']}/s, p99 {figures_of_run['p99_ms']} ms",
                flush=True,
            )
    figures = compare(runs["a"], runs["b"])
    print(format_table(figures))
    if any(one["generator"]["saturated"] for one in (*runs["a"], *runs["b"])):
        print("Load generator saturated in at least one run: results are not valid")
    print(json.dumps({"a": args.a, "b": args.b, "rounds": args.rounds, **figures}))
    not_ok = [one["failures"] + one["dropped"] + one["in_flight"] for one in (*runs["a"], *runs["b"])]
    return int(any(not_ok) or not all(one["requests"] for one in (*runs["a"], *runs["b"])))


def run_locust(host: str, options: Sequence[str]) -> dict[str, Any] | None:
    """Run Locust once and return its JSON object, or None if it printed none."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    completed = subprocess.run(  # noqa: S603
        [*command, "--reports", "", "--host", host, *options], stdout=subprocess.PIPE, text=True, check=False
    )
    lines = completed.stdout.splitlines()
    if not lines or not lines[-1].startswith("{"):
        return None
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures


def compare(
    a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], figures: Sequence[str] = FIGURES
) -> dict[str, dict[str, float | None]]:
    """Return the medians of both, and of the ratios of each round; a ratio to zero is None."""
    comparison: dict[str, dict[str, float | None]] = {}
    for name in figures:
        ratios = [second[name] / first[name] for first, second in zip(a, b, strict=True) if first[name]]
        comparison[name] = {
            "a": median(each[name] for each in a),
            "b": median(each[name] for each in b),
            "b_over_a": median(ratios) if ratios else None,
        }
    return comparison


def format_table(figures: dict[str, dict[str, float | None]]) -> str:
    """Format the comparison as a table."""
    rows = [f"{'':<16}{'a':>12}{'b':>12}{'b / a':>9}"]
    for name, each in figures.items():
        ratio = "" if each["b_over_a"] is None else f"{each['b_over_a']:.2f}"
        rows.append(f"{name:<16}{each['a']:>12,.6g}{each['b']:>12,.6g}{ratio:>9}")
    return "\n".join(rows)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare", description="Compare two servers.")
    parser.add_argument("--a", required=True, help="URL of the first server")
    parser.add_argument("--b", required=True, help="URL of the second server")
    parser.add_argument("--rounds", type=int, default=3, help="runs against each")
    for name in "ab":
        add_renamed(
            parser,
            f"--options-{name}",
            f"--only-{name}",
            default="",
            help=f"extra Locust options for runs against {name}",
        )
    parser.add_argument("locust", nargs="*", help="after --: Locust's own options")
    return parser


if __name__ == "__main__":
    sys.exit(main())
