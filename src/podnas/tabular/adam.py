"""A step of Adam on the parameters of all lanes, compiled: NumPy would walk over them a dozen times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from podnas import compiled

compiled.keep("adam", Path(__file__))

Array = np.ndarray[Any, np.dtype[Any]]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # as in Keras


@njit(cache=True, error_model="numpy")
def step(
    parameters: Array, gradient: Array, mean: Array, square: Array, factor: Array, kept: float, rate: float
) -> None:
    """Change parameters and moments (lanes, count), all float32, in place.

    factor: of each lane's gradient (lanes,); kept: share of the parameters that weight decay leaves; rate: step size
    with the correction of the moments' bias.
    """
    first, second, least = np.float32(BETA_1), np.float32(BETA_2), np.float32(EPSILON)
    new_first, new_second = np.float32(1 - BETA_1), np.float32(1 - BETA_2)
    left, size = np.float32(kept), np.float32(rate)
    for lane in range(parameters.shape[0]):
        scale = np.float32(factor[lane])
        for place in range(parameters.shape[1]):
            slope = scale * gradient[lane, place]
            mean[lane, place] = first * mean[lane, place] + new_first * slope
            square[lane, place] = second * square[lane, place] + new_second * slope * slope
            change = size * mean[lane, place] / (np.sqrt(square[lane, place]) + least)
            parameters[lane, place] = left * parameters[lane, place] - change
