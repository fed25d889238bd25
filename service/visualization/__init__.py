"""Images of attention: heat maps, shaded texts, small multiples. Uses numpy and Pillow only."""
