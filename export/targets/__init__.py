"""What can be exported: one class a modality, behind one abstract `Subject` that tracing and parity work on."""
