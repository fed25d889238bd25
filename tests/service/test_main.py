"""What cannot be served ends the process at once, with one line for a person."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.server import ROOT


def refused(**settings: str) -> str:
    environment = os.environ | {f"HEADLIGHT_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "service"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_a_flipped_byte_names_artifact_and_file(tiny: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(tiny, tmp_path / "broken"))
    data = bytearray((broken / "weights.bin").read_bytes())
    data[100] ^= 1
    (broken / "weights.bin").write_bytes(data)
    message = refused(models=json.dumps([str(tiny), str(broken)]))
    assert message == "not started: broken/weights.bin does not match its sha256 in the manifest\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": "[]"}, "nothing to serve"),
        ({"models": '["/nowhere"]'}, "nowhere/manifest.json cannot be read"),
        ({"device": "tpu"}, "HEADLIGHT_DEVICE"),
        ({"max_items": "0"}, "HEADLIGHT_MAX_ITEMS"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], message: str) -> None:
    assert message in refused(**settings)


def test_a_device_that_is_not_there(tiny: Path) -> None:
    assert "no CUDA provider" in refused(models=json.dumps([str(tiny)]), device="cuda")
