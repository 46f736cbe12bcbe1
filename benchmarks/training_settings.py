"""Batch size and step size by blocked validation inside the training period; test weeks are not read.

    .venv/bin/python benchmarks/training_settings.py results/sst/windows/short/train.nc

Prints, for each setting, the validation r2_mean (best epoch of 100) of two random architectures of the space.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from podnas import artifacts, windows
from podnas.config import TrainingConfig, WindowsConfig
from podnas.networks.recipe import Recipe
from podnas.networks.space import architecture_space
from podnas.networks.train import make_deterministic, train
from podnas.search import points

EPOCHS, ARCHITECTURES = 100, 2


def main(path: Path) -> None:
    make_deterministic()
    config = WindowsConfig()
    data = windows.training(artifacts.read_windows(path, artifacts.TRAINING))
    held = windows.fold(data, config, block=-1)
    space = architecture_space()
    architectures = [points.sample(space, points.stream(0, number)) for number in range(ARCHITECTURES)]
    print(f"{path}: {len(held.fit.inputs)} windows fitted, {len(held.validate.inputs)} validated, {EPOCHS} epochs")
    for batch_size, learning_rate in itertools.product((32, 64), (0.001, 0.003)):
        recipe = Recipe(
            TrainingConfig(batch_size=batch_size, learning_rate=learning_rate), config.harmonics, EPOCHS, True
        )
        found = [train(point, held, recipe, seed=7) for point in architectures]
        r2 = [one.validation_r2 for one in found]
        each, seconds = ", ".join(f"{value:.3f}" for value in r2), sum(one.seconds for one in found)
        print(
            f"batch {batch_size:3d}  step {learning_rate:.3f}  r2_mean {np.mean(r2):.3f} ({each})  "
            f"best epochs {[one.best_epoch for one in found]}  {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
