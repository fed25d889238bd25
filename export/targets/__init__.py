"""Export targets: one class per modality behind the abstract `ExportTarget` that tracing and parity use."""
