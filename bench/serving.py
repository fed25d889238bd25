"""The server over HTTP beside the engine without it and the bare session, in one run, round by round."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import inside, machine, wrk
from bench.bare import Bare
from bench.rounds import Length
from bench.server import running_server
from bench.workloads import Workload, alone, workloads
from models.preprocess.prepared import Prepared
from service.engine.attention import AttentionQuery
from service.process import tune
from service.runtime.encoder import AnyEncoder
from service.settings import Settings
from service.state import State


def measure(artifacts: Sequence[Path], names: Sequence[str], length: Length) -> dict[str, dict[str, float]]:
    """The workloads of these names, or all: items a second each way, ratios to the bare session, latencies."""
    wrk.check()
    found: dict[str, dict[str, float]] = {}
    peak = machine.sgemm_gflops()
    with running_server(artifacts) as url:
        state = State.open(Settings(models=tuple(artifacts)))
        tune()  # as the process that serves is
        for workload in [*workloads(), *alone()]:
            if names and workload.name not in names:
                continue
            side = Side(state, workload, url)
            found[workload.name] = side.one_client(length) if workload.connections == 1 else side.many(length, peak)
            told = ", ".join(f"{key} {value:.4g}" for key, value in found[workload.name].items())
            print(f"{workload.name}: {told}", file=sys.stderr, flush=True)
        state.close()
    return found


class Side:
    """One workload, all ways."""

    def __init__(self, state: State, workload: Workload, url: str) -> None:
        self._state = state
        self._workload = workload
        self._url = url
        self._encoder: AnyEncoder = state.models[workload.model]
        self._items: list[Prepared] = [self._prepare(source) for source in workload.sources]
        self._plan = AttentionQuery().plan(self._encoder.manifest) if workload.attention else None

    def many(self, length: Length, peak_gflops: float) -> dict[str, float]:
        """Throughput with all clients."""
        workload, threads = self._workload, self._state.settings.intra_op_threads()
        window = workload.connections * workload.per_request
        bare = Bare(self._encoder, self._items, window=window, threads=threads)
        tokens = sum(item.positions for item in self._items) / len(self._items)
        rates: dict[str, list[float]] = {"bare": [], "engine": [], "server": []}
        answers = []
        for _ in range(length.rounds):
            rates["bare"].append(bare.run(length.seconds))
            rates["engine"].append(self._engine(length.seconds))
            sent, tokens_per_second = wrk.closed_loop(self._url, workload, seconds=length.seconds)
            answers.append(sent)
            rates["server"].append(tokens_per_second / tokens)
        return {
            "tokens": tokens,
            **{f"{name}_per_s": median(values) for name, values in rates.items()},
            "engine_of_bare": _ratio(rates["engine"], rates["bare"]),
            "server_of_bare": _ratio(rates["server"], rates["bare"]),
            "p50_ms": median(answer.p50_ms for answer in answers),
            "p99_ms": median(answer.p99_ms for answer in answers),
            "gflops": median(rates["server"]) * self._gflop_an_item(),
            "of_sgemm": median(rates["server"]) * self._gflop_an_item() / peak_gflops,
            "bare_batch_tokens": bare.way.tokens,
            "bare_side_by_side": bare.way.side_by_side,
        }

    def one_client(self, length: Length) -> dict[str, float]:
        """Latency for one client, beside tokenizing and running one text after another."""
        bare, server = [], []
        for _ in range(length.rounds):
            bare.append(median(self._one_at_a_time_ms(length.seconds)))
            server.append(wrk.closed_loop(self._url, self._workload, seconds=length.seconds)[0])
        over = [answer.p50_ms - alone_ms for answer, alone_ms in zip(server, bare, strict=True)]
        return {
            "bare_p50_ms": median(bare),
            "server_p50_ms": median(answer.p50_ms for answer in server),
            "server_p99_ms": median(answer.p99_ms for answer in server),
            "over_bare_ms": median(over),
        }

    def _prepare(self, source: str | bytes) -> Prepared:
        (item,) = self._encoder.prepare([source])  # type: ignore[list-item]  # a workload's sources are its model's
        return item

    def _one_at_a_time_ms(self, seconds: float) -> list[float]:
        took: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            source = self._workload.sources[len(took) % len(self._workload.sources)]
            began = time.perf_counter()
            self._encoder.run([self._prepare(source).data])
            took.append(1000 * (time.perf_counter() - began))
        return took

    def _engine(self, seconds: float) -> float:
        n = self._workload.per_request
        requests = [self._items[i : i + n] for i in range(0, len(self._items) - n + 1, n)]
        return inside.closed_loop(
            self._state.engine, self._encoder.name, requests, self._plan,
            clients=self._workload.connections, seconds=seconds,
        )  # fmt: skip

    def _gflop_an_item(self) -> float:
        paths = self._state.settings.artifact_directories()
        work = machine.work(next(path for path in paths if path.name == self._encoder.name))
        return work.gflop([item.positions for item in self._items]) / len(self._items)


def _ratio(values: Sequence[float], to: Sequence[float]) -> float:
    """Median over the rounds of the ratio within each."""
    return median(value / other for value, other in zip(values, to, strict=True))
