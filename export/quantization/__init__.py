"""Graphs of less precision than they were trained in, and how far their answers move."""
