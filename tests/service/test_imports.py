"""Tests that the service imports without torch and the export's dependencies."""

import subprocess
import sys

FORBIDDEN = ("torch", "transformers", "onnx", "onnxscript", "sentence_transformers")

PROGRAM = f"""
import sys
for name in {FORBIDDEN!r}:
    sys.modules[name] = None  # an import of it raises ImportError
import service.bento, service.runtime.encoder
"""


def test_service_imports_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
