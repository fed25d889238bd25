"""Schemas and helpers that several APIs share."""
