"""Who answers: HTTP to engine to ONNX Runtime, without torch.

    worker, bento -> app -> operations -> dialects -> http -> state -> engine | runtime
    BentoML          ASGI   health, docs  contracts   HTTP             batches | ONNX Runtime

Imports point to the right. Only `bento` and `worker` know BentoML, only those from `app` to `http` know HTTP (and
`wire`, which is under every app), only `runtime` knows ONNX Runtime; `settings`, `errors` and `metrics` are leaves.
"""

VERSION = "0.1.0"
"""Of Headlight. It is here for where it is not installed as a package: in a bento, and in an image made of one."""
