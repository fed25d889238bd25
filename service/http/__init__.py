"""HTTP over the engine: one file a dialect, each a translation of the same items and results."""
