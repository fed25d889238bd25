"""How fast: Locust, speaking HTTP only. Imports nothing of the rest, so it runs against any such server."""
