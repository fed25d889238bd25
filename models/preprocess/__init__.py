"""From what a caller sends to what a graph takes. Shared by export (parity) and service; needs no torch."""
