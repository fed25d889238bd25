"""Tests of the documentation: every snippet runs, the site builds and requests no other host."""
