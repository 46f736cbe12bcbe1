"""Field to basis and coefficients."""
