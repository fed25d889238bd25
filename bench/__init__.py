"""What is measured and never tested: speed and memory, as ratios within one run, on the machine at hand."""
