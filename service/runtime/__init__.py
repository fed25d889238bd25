"""ONNX Runtime, the innermost room: artifacts in, arrays out.

On import, ONNX Runtime reports each process and model to its makers: it keeps an identifier under `~/.cache/Microsoft`
and sends events. Its own `disable_telemetry_events` comes too late; the variable set here does not.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
