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

# RMSE (degree_Celsius) by lead 1 … 8 in the East Pacific, 10 S to 10 N, 160 W to 110 W, 2015-04-05 to 2018-06-17.
# CESM and HYCOM were given over all leads together.
EAST_PACIFIC = (
    ("NAS-POD-LSTM", (0.62, 0.63, 0.64, 0.66, 0.63, 0.66, 0.69, 0.65)),
    ("HYCOM", (1.02,) * 8),
    ("CESM", (1.86,) * 8),
)
