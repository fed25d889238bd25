"""The documentation: every snippet runs, the site builds and asks no other host."""
