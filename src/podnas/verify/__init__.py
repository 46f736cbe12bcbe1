"""Forecast and truth to scores."""
