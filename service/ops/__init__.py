"""Health, metrics, tracing, access log, OpenAPI."""
