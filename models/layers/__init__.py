"""Layers of native encoders: projections, positions, attention over sequences, maps and windows."""
