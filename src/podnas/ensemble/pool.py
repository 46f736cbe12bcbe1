"""Gaussian forecasts of all candidates for an ensemble: of held-out blocks, to choose by, and of windows after them.

A candidate may be several networks, each of which held another block out. Each forecasts the later windows; in a
mixture they share the candidate's weight, so that what they disagree about is epistemic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from podnas import windows
from podnas.ensemble.members import Gaussians
from podnas.ensemble.mixture import Mixture
from podnas.windows import Array


@dataclass(frozen=True)
class Candidate:
    """Standardised forecasts of one candidate."""

    held_mean: Array  # (n, leads, modes)
    held_sigma: Array
    mean: Array  # (networks, m, leads, modes)
    sigma: Array


@dataclass(frozen=True)
class Pool:
    """Candidates by name, and the windows of the held-out blocks."""

    candidates: Mapping[str, Candidate]
    block: Array  # (n,) number of the block held out
    held_time: Array  # (n,) datetime64, start of the last input week

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Pool:
        """From an artifact of `artifacts.read_pool`."""
        parts = [dataset[name].values.astype(np.float64) for name in ("held_mean", "held_sigma", "mean", "sigma")]
        names = [str(name) for name in dataset.member.values]
        candidates = {name: Candidate(*own) for name, *own in zip(names, *parts, strict=True)}
        return cls(candidates, dataset.block.values, dataset.held_time.values)

    def joined(self, other: Pool) -> Pool:
        """The candidates of both; raises ValueError where held-out windows differ."""
        if not np.array_equal(self.held_time, other.held_time):
            raise ValueError(
                f"{', '.join(other.candidates)} forecast {len(other.held_time)} held-out windows, "
                f"{', '.join(self.candidates)} {len(self.held_time)}, or others; make both from the same windows"
            )
        return Pool({**self.candidates, **other.candidates}, self.block, self.held_time)

    def take(self, names: Sequence[str]) -> Pool:
        """The candidates of these names."""
        return Pool({name: self.candidates[name] for name in names}, self.block, self.held_time)

    def held(self, truth: Array) -> Gaussians:
        """Forecasts of the held-out windows, checked, and what came (n, leads, modes)."""
        every = list(self.candidates.values())
        return Gaussians(
            tuple(self.candidates), [one.held_mean for one in every], [one.held_sigma for one in every], truth
        )

    def mixture(
        self, weights: Mapping[str, float], factors: Mapping[str, Array], networks: int | None = None
    ) -> Mixture:
        """The later windows' mixture of some candidates, each with its sigmas multiplied by its factor (leads, modes).

        The networks of a candidate, or the first so many, share its weight.
        """
        mean, sigma, weight = [], [], []
        for name, share in weights.items():
            one = self.candidates[name]
            mean.append(one.mean[:networks])
            sigma.append(factors[name] * one.sigma[:networks])
            weight += [share / len(mean[-1])] * len(mean[-1])
        return Mixture(np.concatenate(mean), np.concatenate(sigma), np.array(weight) / np.sum(weight))


def truth(dataset: xr.Dataset, held_time: Array) -> Array:
    """Standardised targets (n, leads, modes) of held-out windows, from the training windows.

    Raises ValueError where one is none of these.
    """
    place = np.searchsorted(dataset.init_time.values, held_time)
    place = np.minimum(place, dataset.sizes["init_time"] - 1)
    if not np.array_equal(dataset.init_time.values[place], held_time):
        raise ValueError("held-out forecasts are of windows that the training period has not; make them anew")
    return windows.scaler(dataset).forward(dataset.target.values[place])


def dataset(
    forecasts: Mapping[str, Array],
    names: Sequence[str],
    held: tuple[Array, Array],
    training: xr.Dataset,
    test: xr.Dataset,
) -> xr.Dataset:
    """Forecasts as an artifact; forecasts: held_mean, held_sigma (members, n, leads, modes), mean, sigma
    (members, networks, m, leads, modes). held: time (n,) and block (n,) of the held-out windows."""
    units = {"units": "1", "long_name": "standardised by the training weeks"}
    dims = {"held": ("member", "held_time", "lead", "mode"), "test": ("member", "network", "init_time", "lead", "mode")}
    values = {
        name: (dims["held" if name.startswith("held") else "test"], part.astype(np.float32), units)
        for name, part in forecasts.items()
    }
    return xr.Dataset(
        {**values, "block": ("held_time", held[1].astype(np.int32), {"long_name": "block held out, from 0"})},
        {
            "member": list(names),
            "network": np.arange(forecasts["mean"].shape[1]),
            "held_time": held[0],
            "init_time": test.init_time.values,
            "lead": training.lead,
            "mode": training.mode,
            "valid_time": (("init_time", "lead"), test.valid_time.values),
        },
        dict(training.attrs),
    )
