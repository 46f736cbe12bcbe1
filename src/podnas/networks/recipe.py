"""What, besides the point and the data, decides what a trained network is. No Keras here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from podnas.config import TrainingConfig, WindowsConfig


@dataclass(frozen=True)
class Recipe:
    """How networks of one kind are trained."""

    settings: TrainingConfig
    windows: WindowsConfig
    epochs: int
    keep_best: bool  # keep the weights of the epoch with the lowest validation loss, else those of the last

    def record(self) -> dict[str, Any]:
        """The recipe as JSON."""
        sections = {"settings": self.settings.model_dump(mode="json"), "windows": self.windows.model_dump(mode="json")}
        return {**sections, "epochs": self.epochs, "keep_best": self.keep_best}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Recipe:
        """A recipe from its record."""
        settings = TrainingConfig.model_validate(record["settings"])
        return cls(settings, WindowsConfig.model_validate(record["windows"]), record["epochs"], record["keep_best"])


def network_seed(seed: int, number: int) -> int:
    """Seed of the weights and batches of network `number` of a search or an ensemble: below 2^32, as Keras needs."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
