"""What a client may send, and how fast: HTTP under every app, bounded before any app sees it."""
