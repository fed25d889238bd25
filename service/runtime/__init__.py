"""ONNX Runtime, the innermost room: artifacts in, arrays out.

ONNX Runtime tells its makers of each process and model as soon as it is imported: it keeps an identifier under
`~/.cache/Microsoft` and sends events. Its own `disable_telemetry_events` comes too late for that; this does not.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
