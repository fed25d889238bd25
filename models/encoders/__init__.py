"""Native encoders composed from `models.layers`, each with a complete config, behind one registry."""
