"""An ensemble's forecast of test windows as an artifact: a mixture of Gaussians in the units of the coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from podnas import windows
from podnas.ensemble.mixture import Mixture
from podnas.windows import Array

PARTS = {
    "aleatoric": "variance within members: what the data cannot say",
    "epistemic": "variance between members: what the model does not know",
}


def dataset(
    mixture: Mixture, names: Sequence[str], correlation: Array, training: xr.Dataset, test: xr.Dataset
) -> xr.Dataset:
    """A standardised mixture (members, n, leads, modes) in the units of the coefficients, with its variance's parts.

    correlation: of modes' errors within a member (leads, modes, modes). names: of the members, as they stand.
    """
    scaler = windows.scaler(training)
    units = str(training.input.attrs["units"])
    mean = scaler.backward(mixture.mean).astype(np.float32)
    sigma = (mixture.sigma * scaler.scale).astype(np.float32)
    # of the numbers as they are written, so that who reads them finds the same
    parts = Mixture(mean.astype(np.float64), sigma.astype(np.float64), mixture.weights).parts()
    each, of_member = ("init_time", "lead", "mode"), ("member", "init_time", "lead", "mode")
    squared = {"units": f"({units})2"}
    return xr.Dataset(
        {
            "mean": (of_member, mean, {"units": units}),
            "sigma": (of_member, sigma, {"units": units}),
            "weight": ("member", mixture.weights, {"units": "1"}),
            **{part: (each, getattr(parts, part), {**squared, "long_name": name}) for part, name in PARTS.items()},
            "correlation": (("lead", "mode", "other_mode"), correlation, {"long_name": "of modes' held-out errors"}),
            "offset": ("mode", scaler.offset),
            "scale": ("mode", scaler.scale),
        },
        {
            "member": list(names),
            "init_time": test.init_time.values,
            "lead": training.lead,
            "mode": training.mode,
            "other_mode": training.mode.values,
            "valid_time": (("init_time", "lead"), test.valid_time.values),
        },
        dict(training.attrs),
    )


def mixture(forecast: xr.Dataset) -> Mixture:
    """The standardised mixture of an artifact of `artifacts.read_probabilistic`."""
    scaler = windows.Scaler(forecast.offset.values, forecast.scale.values)
    weight = forecast.weight.values
    sigma = forecast.sigma.values.astype(np.float64) / scaler.scale
    return Mixture(scaler.forward(forecast["mean"].values.astype(np.float64)), sigma, weight / weight.sum())
