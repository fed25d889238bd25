"""Transport, independent of the API: bodies, keys, deadlines, errors, protocol limits."""
