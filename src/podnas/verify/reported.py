"""Figures that others reported: quoted from memory of the papers (see docs/science.md), never checked here."""

from __future__ import annotations

# Maulik et al. 2020 (SC20), 427 training and 1,487 test weeks: method, train r2_mean, test r2_mean.
# Its training windows and its scaler saw 700 of the test weeks.
SC20 = (
    ("NAS-POD-LSTM", 0.985, 0.876),
    ("Manual LSTM-40", 0.916, 0.742),
    ("Manual LSTM-80", 0.931, 0.734),
    ("Manual LSTM-120", 0.922, 0.746),
    ("Manual LSTM-200", 0.902, 0.739),
    ("Linear", 0.801, 0.172),
    ("XGBoost", 0.966, -0.056),
    ("Random forest", 0.823, 0.002),
)

# Cost of the forecasts that SC20 compares itself with.
PHYSICS = (
    ("HYCOM", "800 core-hours per forecast day (56 days: 44,800)"),
    ("CESM", "17,000,000 core-hours per member, 1920-2100"),
)
