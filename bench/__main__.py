"""Command `python -m bench`: figures for a person, and one JSON object on the last line."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench import (
    attention_overhead,
    compare_bentoml,
    compare_server,
    graphs,
    overload,
    rerank,
    serving,
    soak,
    tail_latency,
    wrk,
)
from bench.server import ServerError
from bench.timing import RunLength
from bench.workloads import TEXT_MODEL
from loadtests.deprecated_options import add_renamed

DEFAULT_PARTS = ("graphs", "serving", "attention", "tail")
"""Parts measured by default. The others are opt-in: `batching` serves docs/adr/0012, `soak` takes half an hour, and
`against` requires another server."""

PARTS = (*DEFAULT_PARTS, "rerank", "overload", "batching", "against", "soak")

Figures = dict[str, float]


def main() -> int:
    args = _parse_args()
    figures: dict[str, Figures] = {}
    try:
        wrk.require_wrk()
        for name, measure in _measurements(args).items():
            if name in args.only:
                figures |= measure()
    except (wrk.WrkMissing, ServerError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what serving costs on this machine.")
    parser.add_argument("--text", type=Path, required=True, help="the default text model's artifact")
    parser.add_argument("--int8", type=Path, required=True, help="the text model's int8 artifact")
    parser.add_argument("--image", type=Path, required=True, help="the default image model's artifact")
    parser.add_argument(
        "--reranker", type=Path, help="artifact of a cross-encoder of the text model's size (for rerank)"
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="intra-op threads for the graph measurements"
    )
    parser.add_argument("--only", nargs="+", default=DEFAULT_PARTS, choices=PARTS, help="parts to measure")
    parser.add_argument(
        "--workloads", nargs="+", default=(), help="workloads of the serving part to measure; all by default"
    )
    parser.add_argument("--rounds", type=int, default=4, help="rounds per alternative, interleaved")
    parser.add_argument("--requests", type=int, default=100_000, help="requests of the soak part")
    add_renamed(parser, "--other-url", "--other", help="URL of the other server's POST /v1/embeddings (for against)")
    parser.add_argument(
        "--other-model", default=TEXT_MODEL, help="name of the text model on the other server (for against)"
    )
    args = parser.parse_args()
    if "against" in args.only and not args.other_url:
        parser.error("--only against requires --other-url, the URL of the server to compare with")
    if "rerank" in args.only and not args.reranker:
        parser.error("--only rerank requires --reranker, an artifact")
    return args


def _measurements(args: argparse.Namespace) -> dict[str, Callable[[], dict[str, Figures]]]:
    """In the order in which they are measured."""
    artifacts, run_length = [args.text, args.image], RunLength(args.rounds, seconds=3)
    return {
        "graphs": lambda: _measure_graphs(args.text, args.int8, args.threads),
        "serving": lambda: serving.measure(artifacts, args.workloads, run_length),
        "attention": lambda: {"attention": attention_overhead.measure(artifacts, args.rounds)},
        "tail": lambda: {"tail": tail_latency.measure(artifacts, run_length)},
        "rerank": lambda: {"rerank": rerank.measure(args.reranker, args.text, run_length)},
        "overload": lambda: {"overload": overload.measure(artifacts, run_length)},
        "batching": lambda: {"batching": compare_bentoml.measure(artifacts, run_length)},
        "against": lambda: {"against": compare_server.measure(artifacts, args.other_url, args.other_model, run_length)},
        "soak": lambda: {"soak": soak.measure(artifacts, args.requests)},
    }


def _measure_graphs(full: Path, int8: Path, threads: int) -> dict[str, Figures]:
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
