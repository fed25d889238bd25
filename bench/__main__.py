"""`python -m bench`: the figures for a person, and as one JSON object on the last line."""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench import answers, batching, graphs, overload, serving, soak, tail, wrk
from bench.server import ServerFailed

PARTS = ("graphs", "serving", "attention", "tail")
"""What is measured unless told otherwise. `batching` is for docs/adr/0012, `soak` takes half an hour."""

Figures = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what serving costs on this machine.")
    parser.add_argument("--text", type=Path, required=True, help="the default text model's artifact")
    parser.add_argument("--int8", type=Path, required=True, help="the same model in 8 bits")
    parser.add_argument("--image", type=Path, required=True, help="the default image model's artifact")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for the graphs by themselves")
    parser.add_argument(
        "--only", nargs="+", default=PARTS, choices=(*PARTS, "overload", "batching", "soak"), help="parts to measure"
    )
    parser.add_argument("--workloads", nargs="+", default=(), help="of serving, the workloads to measure")
    parser.add_argument("--rounds", type=int, default=4, help="of each alternative, in turn")
    parser.add_argument("--requests", type=int, default=100_000, help="of the soak")
    given = parser.parse_args()
    artifacts, length = [given.text, given.image], serving.Length(given.rounds, seconds=3)
    figures: dict[str, Figures] = {}
    try:
        wrk.check()
        if "graphs" in given.only:
            figures |= _graphs(given.text, given.int8, given.threads)
        if "serving" in given.only:
            figures |= serving.measure(artifacts, given.workloads, length)
        if "attention" in given.only:
            figures["attention"] = answers.measure(artifacts, given.rounds)
        if "tail" in given.only:
            figures["tail"] = tail.measure(artifacts, length)
        if "overload" in given.only:
            figures["overload"] = overload.measure(artifacts, length)
        if "batching" in given.only:
            figures["batching"] = batching.measure(artifacts, length)
        if "soak" in given.only:
            figures["soak"] = soak.measure(artifacts, given.requests)
    except (wrk.WrkMissing, ServerFailed) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


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
