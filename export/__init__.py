"""How a trained encoder becomes an artifact: torch to two ONNX graphs with one set of weights, checked and sealed.

source  ->  graphs  ->  weights  ->  parity  ->  seal
what the directory says   torch to ONNX   one shared file   against the original   hashed, renamed into place
"""
