"""Trained checkpoints of others. `make test-checkpoints` fetches them; plain `make test` leaves these tests out."""
