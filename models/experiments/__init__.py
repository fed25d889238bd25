"""Experiments on attention, each answering one question: `python -m models.experiments`.

projections   do query, key and value need projections of their own, one for all, or none?
scores        cosine or scaled dot product?
scaling       what does dividing the scores by sqrt(d) do?
positions     what does attention know of order, and what does each kind of position add?
specificity   how far does the mixing kernel move with the input, and is it ever negative?
one_cell      what is left of attention over a map of one cell?
convolutions  attention or convolution, at equal parameters and equal steps?
pruning       what does it cost to prune near-zero weights?

Each experiment writes a result (JSON) and a plot (SVG) to docs/plots, and its figures to docs/explanation/attention.md.
"""
