"""Generated scenes: one or two colored shapes on a textured ground, with a caption and each object's mask.

Every scene is a function of its numbers: the same random generator gives the same image. Knows numpy only.

vocabulary -> description (what is said) -> placement (where it is) -> rendering (pixels and masks)
"""
