"""What can be exported: one class a modality, behind one abstract `ExportTarget` that tracing and parity work on."""
