"""`python -m bench ARTIFACT INT8_ARTIFACT`: the figures for a person, and as one JSON object on the last line."""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench import graphs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what an artifact costs.")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("int8", type=Path, help="the same model in 8 bits")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    full, threads = given.artifact, given.threads
    figures: dict[str, dict[str, float]] = {}
    for name, measure in (
        ("memory", partial(graphs.memory, full, threads=threads)),
        ("padding", partial(graphs.padding, full, threads=threads)),
        ("attention", partial(graphs.attention, full, threads=threads)),
        ("precision", partial(graphs.precision, full, given.int8, threads=threads)),
    ):
        # A process each, for a thread pool and memory of its own.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            figures[name] = process.submit(measure).result()
        print(f"{name}: {', '.join(f'{key} {value:.4g}' for key, value in figures[name].items())}", file=sys.stderr)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
