"""Comparison of the server over HTTP, the engine without HTTP and the bare session: one run, interleaved rounds."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import engine_only, hardware, wrk
from bench.ort_baseline import OrtBaseline
from bench.server import run_server
from bench.timing import RunLength
from bench.workloads import Workload, default_workloads, single_client_workloads
from models.preprocess.model_input import ModelInput
from service.app_state import AppState
from service.bento import tune_interpreter
from service.bootstrap import open_state
from service.engine.plan import AttentionOptions
from service.runtime.encoder import AnyEncoder
from service.settings import Settings


def measure(artifacts: Sequence[Path], names: Sequence[str], run_length: RunLength) -> dict[str, dict[str, float]]:
    """Measure the named workloads, or all: inputs per second, ratios to the bare session, latencies."""
    wrk.require_wrk()
    figures: dict[str, dict[str, float]] = {}
    peak = hardware.sgemm_gflops()
    with run_server(artifacts) as url:
        state = open_state(Settings(models=tuple(artifacts)))
        tune_interpreter()  # as the process that serves is
        for workload in [*default_workloads(), *single_client_workloads()]:
            if names and workload.name not in names:
                continue
            scenario = Scenario(state, workload, url)
            figures[workload.name] = (
                scenario.measure_latency(run_length)
                if workload.connections == 1
                else scenario.measure_throughput(run_length, peak)
            )
            summary = ", ".join(f"{key} {value:.4g}" for key, value in figures[workload.name].items())
            print(f"{workload.name}: {summary}", file=sys.stderr, flush=True)
        state.close()
    return figures


class Scenario:
    """One workload, all ways."""

    def __init__(self, state: AppState, workload: Workload, url: str) -> None:
        self._state = state
        self._workload = workload
        self._url = url
        self._encoder: AnyEncoder = state.models.get(workload.model)
        self._items: list[ModelInput] = [self._prepare(source) for source in workload.inputs]
        self._plan = AttentionOptions().plan(self._encoder.manifest) if workload.attention else None

    def measure_throughput(self, run_length: RunLength, peak_gflops: float) -> dict[str, float]:
        """Throughput with all clients."""
        workload, threads = self._workload, self._state.settings.intra_op_threads()
        window = workload.connections * workload.inputs_per_request
        baseline = OrtBaseline(self._encoder, self._items, window=window, threads=threads)
        tokens = sum(item.num_tokens for item in self._items) / len(self._items)
        rates: dict[str, list[float]] = {"bare": [], "engine": [], "server": []}
        results = []
        for _ in range(run_length.rounds):
            rates["bare"].append(baseline.run(run_length.seconds))
            rates["engine"].append(self._engine_rate(run_length.seconds))
            result, tokens_per_second = wrk.closed_loop(self._url, workload, seconds=run_length.seconds)
            results.append(result)
            rates["server"].append(tokens_per_second / tokens)
        return {
            "tokens": tokens,
            **{f"{name}_per_s": median(values) for name, values in rates.items()},
            "engine_of_bare": _median_ratio(rates["engine"], rates["bare"]),
            "server_of_bare": _median_ratio(rates["server"], rates["bare"]),
            "p50_ms": median(answer.p50_ms for answer in results),
            "p99_ms": median(answer.p99_ms for answer in results),
            "gflops": median(rates["server"]) * self._gflop_per_input(),
            "of_sgemm": median(rates["server"]) * self._gflop_per_input() / peak_gflops,
            "bare_batch_tokens": baseline.strategy.max_tokens,
            "bare_concurrent_batches": baseline.strategy.concurrent_batches,
        }

    def measure_latency(self, run_length: RunLength) -> dict[str, float]:
        """Measure the latency of one client, compared with tokenizing and running one text after another."""
        baseline, server = [], []
        for _ in range(run_length.rounds):
            baseline.append(median(self._sequential_latencies_ms(run_length.seconds)))
            server.append(wrk.closed_loop(self._url, self._workload, seconds=run_length.seconds)[0])
        overhead = [answer.p50_ms - alone_ms for answer, alone_ms in zip(server, baseline, strict=True)]
        return {
            "bare_p50_ms": median(baseline),
            "server_p50_ms": median(answer.p50_ms for answer in server),
            "server_p99_ms": median(answer.p99_ms for answer in server),
            "over_bare_ms": median(overhead),
        }

    def _prepare(self, source: str | bytes) -> ModelInput:
        (item,) = self._encoder.preprocess([source])  # type: ignore[list-item]  # a workload's sources are its model's
        return item

    def _sequential_latencies_ms(self, seconds: float) -> list[float]:
        latencies: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            source = self._workload.inputs[len(latencies) % len(self._workload.inputs)]
            started = time.perf_counter()
            self._encoder.run([self._prepare(source).data])
            latencies.append(1000 * (time.perf_counter() - started))
        return latencies

    def _engine_rate(self, seconds: float) -> float:
        n = self._workload.inputs_per_request
        requests = [self._items[i : i + n] for i in range(0, len(self._items) - n + 1, n)]
        return engine_only.closed_loop(
            self._state.engine, self._encoder.name, requests, self._plan,
            clients=self._workload.connections, seconds=seconds,
        )  # fmt: skip

    def _gflop_per_input(self) -> float:
        paths = self._state.settings.artifact_directories()
        flops = hardware.count_flops(next(path for path in paths if path.name == self._encoder.name))
        return flops.gflop([item.num_tokens for item in self._items]) / len(self._items)


def _median_ratio(values: Sequence[float], baseline: Sequence[float]) -> float:
    """Median over the rounds of the ratio within each."""
    return median(value / other for value, other in zip(values, baseline, strict=True))
