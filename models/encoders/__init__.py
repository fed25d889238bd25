"""Encoders composed from `models.layers`, each with a config that says all of it, behind one registry."""
