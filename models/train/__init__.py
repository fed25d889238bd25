"""Training of native image encoders by recipe: `python -m models.train RECIPE`.

recipe -> scenes + teacher -> objective -> loop -> checkpoint -> evaluation
"""
