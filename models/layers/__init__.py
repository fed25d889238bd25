"""The pieces that encoders are composed from: projections, positions, attention over sequences, maps and windows."""
