"""Trained networks to an ensemble and its forecast."""
