"""Engine: queue, dynamic batching, compute threads. Knows neither HTTP nor ONNX Runtime."""
