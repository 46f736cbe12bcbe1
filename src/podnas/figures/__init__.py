"""One module a figure; the only room that imports Matplotlib."""
