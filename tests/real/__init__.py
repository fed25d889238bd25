"""Tests on trained checkpoints. `make test-checkpoints` fetches them; `make test` skips these tests."""
