"""How a trained encoder becomes an artifact: torch to one ONNX graph, checked and sealed.

source  ->  graph  ->  precision  ->  weights  ->  parity  ->  seal
what it says, torch to ONNX, fewer bits, a file beside it, against the original, hashed and renamed into place
"""
