"""Forecasts of the training period by methods that are fitted without the block that they forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from podnas.baselines import methods
from podnas.config import BaselinesConfig, WindowsConfig
from podnas.windows import Array, Training, folds


@dataclass(frozen=True)
class HeldOutForecasts:
    """The windows of all blocks, one block after the other."""

    forecasts: Mapping[str, Array]  # method to (n, leads, modes), standardised
    truth: Array  # (n, leads, modes), standardised
    block: Array  # (n,) number of the block held out
    init_time: Array  # (n,) datetime64, start of the last input week


def forecasts(
    data: Training, names: Sequence[str], config: BaselinesConfig, windows: WindowsConfig
) -> HeldOutForecasts:
    """Each baseline of these names fitted without each block, with a gap of two windows, and its forecast of it."""
    held = list(folds(data, windows))
    made = {
        name: np.concatenate(
            [methods.build(name, config, windows).fit(one.fit).predict(one.validate.inputs) for one in held]
        )
        for name in names
    }
    return HeldOutForecasts(
        made,
        np.concatenate([one.validate.targets for one in held]),
        np.concatenate([np.full(len(one.validate.inputs), number) for number, one in enumerate(held)]),
        np.concatenate([one.validate.inputs.init_time for one in held]),
    )
