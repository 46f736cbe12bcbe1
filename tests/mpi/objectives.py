"""A function of a user that raises, hangs and gives no number."""

from __future__ import annotations

import time


def troublesome(point, number):
    time.sleep(0.1)
    if number in (0, 1):
        raise ValueError("out of range")
    if number in (2, 3):
        time.sleep(1000)
    return float("nan") if number in (4, 5) else point["x"]
