"""Reranking: its rate next to a bare session on the same pairs, and what its neighbors wait."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import orjson

from bench import wrk
from bench.open_loop import Request, open_loop
from bench.ort_baseline import OrtBaseline
from bench.server import run_server
from bench.timing import RunLength
from bench.workloads import TEXT_MODEL, request_body, workload_texts
from loadtests.payloads.texts import generate_texts
from models.preprocess.model_input import TextPair
from service.bento import tune_interpreter
from service.bootstrap import open_state
from service.runtime.encoder import TextEncoder
from service.settings import Settings

NUM_DOCUMENTS, DOCUMENT_WORDS = 100, (175, 186)
"""Documents per request, and their words: about 200 tokens."""

NUM_REQUESTS = 8
SHORT_PER_S = 30.0
"""Short requests a second of the neighbors: few, so that they wait for the documents and not for each other."""


def measure(reranker: Path, text: Path, run_length: RunLength) -> dict[str, float]:
    """Return pairs per second, their ratio to the bare session, and the neighbors' p99 next to both kinds of load."""
    wrk.require_wrk()
    queries = workload_texts("short", NUM_REQUESTS, seed=5)
    documents = _documents(NUM_REQUESTS * NUM_DOCUMENTS)
    groups = [documents[i : i + NUM_DOCUMENTS] for i in range(0, len(documents), NUM_DOCUMENTS)]
    pairs = [TextPair(query, document) for query, group in zip(queries, groups, strict=True) for document in group]
    bodies = [
        orjson.dumps({"model": reranker.name, "query": query, "documents": group, "return_documents": False})
        for query, group in zip(queries, groups, strict=True)
    ]
    embeddings = [
        request_body(TEXT_MODEL, [f"{pair.first} {pair.second}" for pair in pairs[i : i + NUM_DOCUMENTS]])
        for i in range(0, len(pairs), NUM_DOCUMENTS)
    ]
    with run_server([reranker, text]) as url:
        state = open_state(Settings(models=(reranker,)))
        tune_interpreter()
        encoder = state.models.get(reranker.name)
        if not isinstance(encoder, TextEncoder):
            raise TypeError(f"{reranker} takes no texts")
        items = encoder.preprocess(pairs)
        baseline = OrtBaseline(encoder, items, window=NUM_DOCUMENTS, threads=state.settings.intra_op_threads())
        tokens = sum(item.num_tokens for item in items) / len(items)
        seconds = 4 * run_length.seconds
        bare, server = [], []
        for _ in range(run_length.rounds):
            bare.append(baseline.run(seconds))
            _, tokens_per_s = wrk.counted_loop(url, "/v1/rerank", bodies, connections=1, seconds=seconds)
            server.append(tokens_per_s / tokens)
        state.close()
        p99 = _neighbors(url, bodies, embeddings, run_length)
    figures = {
        "tokens_per_pair": tokens,
        "bare_pairs_per_s": median(bare),
        "server_pairs_per_s": median(server),
        "server_of_bare": median(ours / theirs for ours, theirs in zip(server, bare, strict=True)),
        **p99,
    }
    print(f"rerank: {', '.join(f'{key} {value:.4g}' for key, value in figures.items())}", file=sys.stderr)
    return figures


def _documents(count: int) -> list[str]:
    distinct: dict[str, None] = {}
    for text in generate_texts(9, DOCUMENT_WORDS):
        distinct[text] = None
        if len(distinct) == count:
            break
    return list(distinct)


def _neighbors(
    url: str, reranked: Sequence[bytes], embedded: Sequence[bytes], run_length: RunLength
) -> dict[str, float]:
    """Return the p99 of short requests in ms next to one client that ranks, and next to one that sends its tokens to
    embed."""
    short = [Request("short", request_body(TEXT_MODEL, [text])) for text in workload_texts("short", 256, seed=7)]
    seconds = 4 * run_length.seconds
    p99: dict[str, list[float]] = {"rerank": [], "embed": []}
    loads = {"rerank": ("/v1/rerank", reranked), "embed": ("/v1/embeddings", embedded)}
    with ThreadPoolExecutor(1) as background:
        for i in range(run_length.rounds):
            for name, (path, bodies) in loads.items():
                load = background.submit(wrk.closed_loop_url, url + path, bodies, connections=1, seconds=seconds)
                found = open_loop(url, short, rate=SHORT_PER_S, seconds=seconds - 1, seed=i)["short"]
                p99[name].append(float(np.quantile(found, 0.99)))
                load.result()
    return {
        "neighbor_p99_next_to_rerank_ms": median(p99["rerank"]),
        "neighbor_p99_next_to_embed_ms": median(p99["embed"]),
        "neighbor_p99_ratio": median(a / b for a, b in zip(p99["rerank"], p99["embed"], strict=True)),
    }
