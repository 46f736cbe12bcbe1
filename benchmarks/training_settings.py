"""Settings of training by blocked validation inside the training period; test weeks are not read.

    .venv/bin/python benchmarks/training_settings.py results/sst/windows/short/train.nc

Prints, for each setting, the validation r2_mean (best epoch of 100) of two random architectures of the space.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from podnas import artifacts, windows
from podnas.config import TrainingConfig, WindowsConfig
from podnas.networks import exact
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import held_out, job
from podnas.networks.space import architecture_space
from podnas.search import points

EPOCHS, ARCHITECTURES = 100, 2
VARIED = (
    {},
    {"order": "oldest_first"},
    {"output_scale": 1.0},
    {"output_scale": 3.0},
    {"output_scale": 12.0},
    {"batch_size": 32},
    {"learning_rate": 0.001},
    {"learning_rate": 0.01},
    {"harmonics": 0},
    {"harmonics": 1},
)


def main(path: Path) -> None:
    data = windows.training(artifacts.read_windows(path, artifacts.TRAINING))
    space = architecture_space()
    architectures = [points.sample(space, points.stream(0, number)) for number in range(ARCHITECTURES)]
    for change in VARIED:
        config = WindowsConfig(**{key: value for key, value in change.items() if key in WindowsConfig.model_fields})
        settings = TrainingConfig(**{key: value for key, value in change.items() if key in TrainingConfig.model_fields})
        recipe = Recipe(settings, config, EPOCHS, keep_best=True)
        started = time.perf_counter()
        arrays = held_out(data, recipe, block=-1)
        found = exact.advance([job(point, 7, arrays, recipe) for point in architectures])
        r2, seconds = [one.validation_r2() for one in found], time.perf_counter() - started
        text = ", ".join(f"{key} {value}" for key, value in change.items()) or "defaults"
        print(f"{text:24s} r2_mean {np.mean(r2):.3f} {[f'{value:.3f}' for value in r2]} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
