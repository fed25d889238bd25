"""Tests of the GPU check on the CPU: it runs completely, and reports what does not hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gpu import accuracy, kernels, throughput
from bench.gpu.__main__ import passed
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.providers import CPU
from tests.checkpoints import write_bert
from tests.conftest import ROOT
from tests.export_cache import ExportCache

FLASH = (
    "2026-11-26 21:38:28.93 [V:onnxruntime:Default, attention.cc:1450 ComputeInternal] "
    "ONNX Attention: using Flash Attention (batch=4, q_seq=128, total_seq=128, past=no)\n"
)
EFFICIENT = FLASH.replace("Flash", "Memory Efficient")
UNFUSED = "[V:onnxruntime:] Attention: using unified unfused path (is_gqa=0, head_size=64, softcap=0)\n"


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> TextEncoder:
    encoder = open_encoder(tiny, device="cpu")
    assert isinstance(encoder, TextEncoder)
    return encoder


def test_log_parser_counts_kernels() -> None:
    assert kernels.parse_log("Attention\n" + FLASH * 12) == {kernels.FLASH: 12}
    assert kernels.parse_log(FLASH + EFFICIENT + UNFUSED) == {
        kernels.FLASH: 1, "Memory Efficient Attention": 1, "unified unfused path": 1
    }  # fmt: skip


def test_differences_detect_other_weights(encoder: TextEncoder, exports: ExportCache, tmp_path: Path) -> None:
    same = accuracy.differences(encoder, encoder)
    assert same["embedding_max_abs"] == same["rollout_max_abs"] == 0
    assert same["embedding_min_cosine"] == pytest.approx(1)
    other = open_encoder(exports(write_bert(tmp_path / "other", seed=1), "other"), device="cpu")
    assert isinstance(other, TextEncoder)
    unlike = accuracy.differences(other, encoder)
    assert unlike["embedding_min_cosine"] < 0.9
    assert unlike["rollout_max_abs"] > 0.001


def test_matmul_rate_is_independent_of_size() -> None:
    small, large = (throughput.matmul_tflops(CPU, "fp32", n) for n in (256, 512))
    assert 0.2 < small / large < 5


def test_check_gpu_bounds_can_fail() -> None:
    good = {"embedding_max_abs": 1e-6, "rollout_max_abs": 1e-6, "embedding_min_cosine": 0.9999}
    figures = {"full": good, "half": good, "kernels": {kernels.FLASH: 12}, "rate": {"utilization": 0.46}}
    assert passed(figures) == dict.fromkeys(("full", "half", "flash", "rate"), True)
    bad = {"embedding_max_abs": 1e-6, "rollout_max_abs": 1e-3, "embedding_min_cosine": 0.99}
    mixed = {kernels.FLASH: 11, "unified unfused path": 1}
    for name, value in {"full": bad, "half": bad, "kernels": mixed, "rate": {"utilization": 0.44}}.items():
        assert list(passed({**figures, name: value}).values()).count(False) == 1
    assert not passed({**figures, "kernels": {}})["flash"], "an empty log proves nothing"


def test_check_runs_on_cpu(tiny: Path) -> None:
    """On CPU no GPU kernels are logged, so the flash check fails."""
    command = [sys.executable, "-m", "bench.gpu", "--full", str(tiny), "--half", str(tiny)]
    small = ["--tokens", "16", "--side", "128", "--seconds", "0.2"]
    ran = subprocess.run([*command, "--device", "cpu", *small], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert figures["provider"] == CPU
    assert figures["kernels"] == {}
    assert figures["rate"]["engine_tflops"] > 0
    assert figures["binding"]["bound_of_plain"] > 0
    assert (figures["passed"]["full"], figures["passed"]["half"], figures["passed"]["flash"]) == (True, True, False)
    without = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (without.returncode, without.stdout) == (1, "")
    assert "not checked: device cuda was requested" in without.stderr
