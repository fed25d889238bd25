"""The server: HTTP to engine to ONNX Runtime, without torch.

    bentoml_worker, bento -> app  -> ops          -> api     -> http -> pipeline -> bootstrap -> engine  | runtime
    BentoML                  ASGI    health, docs    schemas    HTTP    use case    state        batches | ONNX Runtime

Imports point to the right. Only `bento` and `bentoml_worker` know BentoML, only `app`, `ops`, `api` and `http` know
HTTP, only `runtime` knows ONNX Runtime; `settings`, `errors` and `ops.metrics` are leaves.
"""

VERSION = "0.1.0"
"""Version of Headlight; kept here because a bento and an image run without installing the package."""
