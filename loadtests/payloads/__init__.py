"""Payloads of requests; the same seed sends the same bytes."""
