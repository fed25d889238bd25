"""`python -m bench`: the figures for a person, and as one JSON object on the last line."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench import against, answers, batching, graphs, overload, serving, soak, tail, wrk
from bench.rounds import Length
from bench.server import ServerFailed
from bench.workloads import TEXT_MODEL

USUAL = ("graphs", "serving", "attention", "tail")
"""What is measured unless told otherwise. Of the others `batching` is for docs/adr/0012, `soak` takes half an hour, and
`against` wants another server."""

PARTS = (*USUAL, "overload", "batching", "against", "soak")

Figures = dict[str, float]


def main() -> int:
    given = _arguments()
    figures: dict[str, Figures] = {}
    try:
        wrk.check()
        for name, measure in _measures(given).items():
            if name in given.only:
                figures |= measure()
    except (wrk.WrkMissing, ServerFailed) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what serving costs on this machine.")
    parser.add_argument("--text", type=Path, required=True, help="the default text model's artifact")
    parser.add_argument("--int8", type=Path, required=True, help="the same model in 8 bits")
    parser.add_argument("--image", type=Path, required=True, help="the default image model's artifact")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for the graphs by themselves")
    parser.add_argument("--only", nargs="+", default=USUAL, choices=PARTS, help="parts to measure")
    parser.add_argument("--workloads", nargs="+", default=(), help="of serving, the workloads to measure")
    parser.add_argument("--rounds", type=int, default=4, help="of each alternative, in turn")
    parser.add_argument("--requests", type=int, default=100_000, help="of the soak")
    parser.add_argument("--other", help="for against: the URL of the other server's POST /v1/embeddings")
    parser.add_argument("--other-model", default=TEXT_MODEL, help="for against: what the text model is called there")
    given = parser.parse_args()
    if "against" in given.only and not given.other:
        parser.error("--only against wants --other, the URL of the server to compare with")
    return given


def _measures(given: argparse.Namespace) -> dict[str, Callable[[], dict[str, Figures]]]:
    """In the order in which they are measured."""
    artifacts, length = [given.text, given.image], Length(given.rounds, seconds=3)
    return {
        "graphs": lambda: _graphs(given.text, given.int8, given.threads),
        "serving": lambda: serving.measure(artifacts, given.workloads, length),
        "attention": lambda: {"attention": answers.measure(artifacts, given.rounds)},
        "tail": lambda: {"tail": tail.measure(artifacts, length)},
        "overload": lambda: {"overload": overload.measure(artifacts, length)},
        "batching": lambda: {"batching": batching.measure(artifacts, length)},
        "against": lambda: {"against": against.measure(artifacts, given.other, given.other_model, length)},
        "soak": lambda: {"soak": soak.measure(artifacts, given.requests)},
    }


def _graphs(full: Path, int8: Path, threads: int) -> dict[str, Figures]:
    """Each in a process of its own, for thread pools and memory of its own."""
    figures = {}
    for name, measure in (
        ("memory", partial(graphs.memory, full, threads=threads)),
        ("padding", partial(graphs.padding, full, threads=threads)),
        ("attention_graph", partial(graphs.attention, full, threads=threads)),
        ("precision", partial(graphs.precision, full, int8, threads=threads)),
    ):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            figures[name] = process.submit(measure).result()
        print(f"{name}: {', '.join(f'{key} {value:.4g}' for key, value in figures[name].items())}", file=sys.stderr)
    return figures


if __name__ == "__main__":
    sys.exit(main())
