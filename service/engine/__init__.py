"""Items in, results out: queue, batches, threads at the graphs. Knows neither HTTP nor ONNX Runtime."""
