"""Preprocessing from a client's input to the graph's, shared by export (parity) and service; free of torch."""
