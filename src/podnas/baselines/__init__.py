"""Forecasts that need no network: windows to forecast."""
