"""`python -m bench.gpu`: figures for a person, and as one JSON object on the last line. Ends with 1 unless all holds.

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

from bench.gpu import agreement, kernels, rates
from models.contract.manifest import Manifest
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.providers import Asked, ProviderUnavailable
from service.settings import Settings
from service.state import State

FULL_MAX_ABS, HALF_MIN_COSINE = 1e-4, 0.999
"""Bounds of how far the device may be from the CPU: in float32, and in half floats from float32."""

SHARE = 0.45
"""Least share of the device's rate that the engine must get."""


@dataclass(frozen=True)
class Asks:
    full: Path
    half: Path
    device: Asked
    tokens: int
    side: int
    seconds: float


def check(asks: Asks) -> dict[str, Any]:
    """All figures, and what `held`. Raises ProviderUnavailable."""
    full, half = (_open(artifact, asks.device) for artifact in (asks.full, asks.half))
    figures: dict[str, Any] = {"onnxruntime": onnxruntime.__version__, "provider": half.provider}
    _tell("provider", figures["provider"])
    reference = _open(asks.full, "cpu")
    figures["full"] = _tell("full", agreement.differences(full, reference))
    figures["half"] = _tell("half", agreement.differences(half, reference))
    figures["kernels"] = _tell("kernels", kernels.used(asks.half, asks.device))
    figures["binding"] = _tell("binding", _binding(asks, half))
    figures["rate"] = _tell("rate", _rate(asks, half.provider))
    figures["held"] = _tell("held", held(figures))
    return figures


def held(figures: dict[str, Any]) -> dict[str, bool]:
    return {
        "full": max(figures["full"]["embedding_max_abs"], figures["full"]["rollout_max_abs"]) <= FULL_MAX_ABS,
        "half": figures["half"]["embedding_min_cosine"] >= HALF_MIN_COSINE,
        "flash": set(figures["kernels"]) == {kernels.FLASH},
        "rate": figures["rate"]["share"] >= SHARE,
    }


def _binding(asks: Asks, encoder: TextEncoder) -> dict[str, float]:
    batch = agreement.items(encoder, [asks.tokens] * 16)
    return rates.binding_ms(asks.half, encoder.provider, batch)


def _rate(asks: Asks, provider: str) -> dict[str, float]:
    peak = rates.matmul_tflops(provider, Manifest.read(asks.half).precision, asks.side)
    state = State.open(Settings(models=(asks.half,), device=asks.device))
    engine = rates.engine_tflops(state, asks.half, tokens=asks.tokens, seconds=asks.seconds)
    state.close()
    return {"matmul_tflops": peak, "engine_tflops": engine, "share": engine / peak}


def _open(artifact: Path, device: Asked) -> TextEncoder:
    encoder = open_encoder(artifact, device=device)
    assert isinstance(encoder, TextEncoder), "these figures are of texts"
    return encoder


def _tell(name: str, found: Any) -> Any:
    print(f"{name}: {found}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Check that a GPU is used as it can be.")
    parser.add_argument("--full", type=Path, required=True, help="a text model's artifact in float32")
    parser.add_argument("--half", type=Path, required=True, help="the same model in half floats")
    parser.add_argument("--device", default="cuda", choices=get_args(Asked), help="where it is to run (cuda)")
    parser.add_argument("--tokens", type=int, default=128, help="of an item (128)")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices that the rate is measured with (8192)")
    parser.add_argument("--seconds", type=float, default=5, help="that the engine is measured for (5)")
    try:
        figures = check(Asks(**vars(parser.parse_args())))
    except ProviderUnavailable as error:
        print(f"not checked: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0 if all(figures["held"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
