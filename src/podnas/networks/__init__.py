"""Points of a search space to trained networks; the only room that imports Keras."""
