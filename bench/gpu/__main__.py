"""Command `python -m bench.gpu`: figures for a person, and one JSON object on the last line; exit code 1 unless all
pass.

Two artifacts of one text model, of BERT-base's size where the rate is to mean something (`make check-gpu` makes them):
in float32, which the CPU can compute too and is the reference, and in half floats.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import onnxruntime

from bench.gpu import accuracy, kernels, throughput
from models.artifact.manifest import Manifest
from service.bootstrap import open_state
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.providers import DeviceOption, ProviderUnavailable
from service.settings import Settings

FULL_MAX_ABS, HALF_MIN_COSINE = 1e-4, 0.999
"""Limits of the difference from the CPU in float32: absolute for float32, cosine for float16."""

MIN_UTILIZATION = 0.45
"""Minimum fraction of the device's rate that the engine must reach."""


@dataclass(frozen=True)
class GpuCheckOptions:
    full: Path
    half: Path
    device: DeviceOption
    tokens: int
    side: int
    seconds: float


def check(options: GpuCheckOptions) -> dict[str, Any]:
    """All figures, and what `passed`. Raises ProviderUnavailable."""
    full, half = (_open(artifact, options.device) for artifact in (options.full, options.half))
    figures: dict[str, Any] = {"onnxruntime": onnxruntime.__version__, "provider": half.provider}
    _report("provider", figures["provider"])
    reference = _open(options.full, "cpu")
    figures["full"] = _report("full", accuracy.differences(full, reference))
    figures["half"] = _report("half", accuracy.differences(half, reference))
    figures["kernels"] = _report("kernels", kernels.count_kernels(options.half, options.device))
    figures["binding"] = _report("binding", _binding(options, half))
    figures["rate"] = _report("rate", _rate(options, half.provider))
    figures["passed"] = _report("passed", passed(figures))
    return figures


def passed(figures: dict[str, Any]) -> dict[str, bool]:
    return {
        "full": max(figures["full"]["embedding_max_abs"], figures["full"]["rollout_max_abs"]) <= FULL_MAX_ABS,
        "half": figures["half"]["embedding_min_cosine"] >= HALF_MIN_COSINE,
        "flash": set(figures["kernels"]) == {kernels.FLASH},
        "rate": figures["rate"]["utilization"] >= MIN_UTILIZATION,
    }


def _binding(options: GpuCheckOptions, encoder: TextEncoder) -> dict[str, float]:
    batch = accuracy.random_inputs(encoder, [options.tokens] * 16)
    return throughput.binding_ms(options.half, encoder.provider, batch)


def _rate(options: GpuCheckOptions, provider: str) -> dict[str, float]:
    peak = throughput.matmul_tflops(provider, Manifest.read(options.half).precision, options.side)
    state = open_state(Settings(models=(options.half,), device=options.device))
    engine = throughput.engine_tflops(state, options.half, tokens=options.tokens, seconds=options.seconds)
    state.close()
    return {"matmul_tflops": peak, "engine_tflops": engine, "utilization": engine / peak}


def _open(artifact: Path, device: DeviceOption) -> TextEncoder:
    encoder = open_encoder(artifact, device=device)
    assert isinstance(encoder, TextEncoder), "a text model is required"
    return encoder


def _report(name: str, value: Any) -> Any:
    print(f"{name}: {value}", file=sys.stderr, flush=True)
    return value


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Check that the GPU is used efficiently.")
    parser.add_argument("--full", type=Path, required=True, help="a text model's artifact in float32")
    parser.add_argument("--half", type=Path, required=True, help="the same model in half floats")
    parser.add_argument("--device", default="cuda", choices=get_args(DeviceOption), help="device to run on (cuda)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens per input (128)")
    parser.add_argument("--side", type=int, default=8192, help="matrix size for the rate measurement (8192)")
    parser.add_argument("--seconds", type=float, default=5, help="duration of the engine measurement in seconds (5)")
    try:
        figures = check(GpuCheckOptions(**vars(parser.parse_args())))
    except ProviderUnavailable as error:
        print(f"not checked: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0 if all(figures["passed"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
