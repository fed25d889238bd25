"""The server: HTTP to engine to ONNX Runtime, without torch.

    bento    -> app, bootstrap -> ops           -> api      -> http -> pipeline -> app_state -> engine  | runtime
    BentoML     ASGI, startup     health, docs     schemas     HTTP    use case    state        batches | ONNX Runtime

Imports point to the right. Only `bento` knows BentoML, only `app`, `ops`, `api` and `http` know HTTP, and only
`runtime` knows ONNX Runtime; `settings`, `limits`, `errors` and `ops.metrics` are leaves.
"""

VERSION = "0.1.0"
"""Version of Headlight; kept here because a bento and an image run without installing the package."""
