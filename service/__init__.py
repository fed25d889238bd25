"""Who answers: HTTP to engine to ONNX Runtime, without torch.

    bento -> app -> routes -> engine -> runtime
    BentoML  ASGI   HTTP      batches   ONNX Runtime

Imports point to the right. Only `bento` knows BentoML, only `app` and `routes` know HTTP, only `runtime` knows
ONNX Runtime; `settings`, `errors` and `metrics` are leaves.
"""
