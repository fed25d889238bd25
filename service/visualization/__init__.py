"""Pictures of attention: heat maps, shaded texts, mosaics. Knows numpy and Pillow, and neither HTTP nor any model."""
