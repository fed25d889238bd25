"""How a trained encoder becomes an artifact: torch to one ONNX graph, checked and sealed.

subjects  ->  tracing  ->  precision  ->  weights  ->  parity  ->  seal
an encoder opened, torch to ONNX, fewer bits, a file beside the graph, against the original, hashed and renamed into
place; `export.pipeline` goes from one to the next
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before ONNX Runtime is imported; see service.runtime
