"""Two blocks of the training period held apart, one to validate by and one to leave untouched, and their forecasts.

Everything is scaled by the weeks that are fitted on: the scaler of the training windows has seen all blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from podnas import artifacts, windows
from podnas.config import BlocksConfig, WindowsConfig
from podnas.networks import exact
from podnas.networks.population import Job, State
from podnas.windows import Array, Fold, Scaler, Training


def unscaled(dataset: xr.Dataset) -> Training:
    """Training windows, as the rule `windows` writes them, in the units of the coefficients."""
    plain = dataset.assign(offset=xr.zeros_like(dataset.offset), scale=xr.ones_like(dataset.scale))
    return windows.training(plain)


@dataclass(frozen=True)
class Apart:
    """What is fitted on, validated by and left untouched, standardised by the weeks fitted on."""

    fold: Fold
    untouched: Training
    scaler: Scaler

    @classmethod
    def of(cls, whole: Training, config: WindowsConfig, blocks: BlocksConfig) -> Apart:
        """Cut two blocks out of unscaled windows, each with the gap of two windows on both sides.

        Validated are weeks that keep this gap from the untouched block, too. Raises ValueError where a side is left
        with too few windows.
        """
        held, away = (windows.fold(whole, config, block) for block in (blocks.validated, blocks.untouched))
        fit, validate = (
            part.restrict(np.isin(part.series_centres, away.fit.series_centres)) for part in (held.fit, held.validate)
        )
        if not len(fit.inputs) or len(validate.inputs) < 2:
            raise ValueError(
                f"validated by block {blocks.validated} with block {blocks.untouched} untouched, "
                f"{len(fit.inputs)} windows are left to fit on and {len(validate.inputs)} to validate by; choose other "
                "blocks, set windows.validation_blocks otherwise, or lengthen the training period"
            )
        scaler = Scaler(fit.series.mean(axis=0), fit.series.std(axis=0))
        fold = Fold(fit, validate).scaled(fit.series)
        return cls(fold, away.validate.scaled(scaler), scaler)

    def hashes(self) -> list[str]:
        """Of the three parts."""
        return [windows.content_hash(part) for part in (self.fold.fit, self.fold.validate, self.untouched)]

    def counts(self) -> dict[str, int]:
        """Windows of each part."""
        parts = {"fitted": self.fold.fit, "validated": self.fold.validate, "untouched": self.untouched}
        return {f"{name}_windows": len(part.inputs) for name, part in parts.items()}


def forecast(job: Job, state: State, data: Training, config: WindowsConfig) -> Array:
    """Standardised forecasts (n, leads, modes) of windows by a member that a job has trained to a state."""
    trained = replace(job, state=replace(state, parameters=state.chosen()))
    inputs = np.ascontiguousarray(windows.channels(data.inputs, config))
    made: Array = exact.forecast(trained, inputs).astype(np.float32) * np.float32(job.member.settings.output_scale)
    return made


def keep(path: Path, record: Mapping[str, Any], forecasts: Mapping[str, Array]) -> None:
    """Write forecasts, whole or not at all, with the record (JSON) of what they belong to."""
    artifacts.write_arrays(path, forecasts, record)


def kept(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `keep` wrote; raises ArtifactError where the file is missing or damaged."""
    if not path.exists():
        raise artifacts.ArtifactError(
            f"{path} does not exist, but its network is finished; remove the folder {path.parent} and start again"
        )
    return artifacts.read_arrays(path)
