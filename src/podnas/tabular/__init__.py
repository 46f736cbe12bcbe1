"""Regression of tables: the UCI benchmark of deep ensembles, with AutoDEUQ's search inside each split. No Keras."""
