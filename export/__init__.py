"""Export of a trained encoder as an artifact: torch to one ONNX graph, checked and sealed.

subjects  ->  tracing  ->  precision  ->  weights  ->  parity  ->  seal
Open the encoder, trace torch to ONNX, reduce the precision, write the weights to a file of their own, compare with the
original, then hash and rename into place. `export.pipeline` runs these steps in order.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before ONNX Runtime is imported; see service.runtime
