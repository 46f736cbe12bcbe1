"""A generated regression set, as a file of the tabular benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, name: str = "waves", rows: int = 60, repeats: int = 6, splits: int = 2, **changes) -> Path:
    """y = sin x + noise that grows with x, in units of 10; `repeats` rows stand twice; `changes` replace keys."""
    random = np.random.default_rng(0)
    features = random.uniform(-2, 2, (rows, 3))
    target = 10 * (np.sin(2 * features[:, 0]) + (0.1 + 0.1 * np.abs(features[:, 1])) * random.normal(size=rows))
    if repeats:
        features[-repeats:], target[-repeats:] = features[:repeats], target[:repeats]
    test = np.zeros((splits, rows), bool)
    for row in test:
        row[random.choice(rows, rows // 10, replace=False)] = True
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    arrays = {"X": features, "y": target, "test": test, **changes}
    np.savez(path, **{key: values for key, values in arrays.items() if values is not None})
    return path
