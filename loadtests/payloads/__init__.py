"""What is sent: seeded, so that the same seed sends the same bytes."""
