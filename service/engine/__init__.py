"""Items in, results out: queue, batches, one thread at the graphs. Knows neither HTTP nor ONNX Runtime."""
