"""Load tests with Locust, over HTTP only; they import nothing else of the project, so any such server can be loaded."""
