"""Benchmarks of speed and memory, as ratios within one run on one machine; nothing here is tested."""
