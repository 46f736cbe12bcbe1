"""What, besides the point and the data, decides what a trained network is. No Keras here."""

from __future__ import annotations

from dataclasses import dataclass

from podnas.config import TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """How networks of one kind are trained."""

    settings: TrainingConfig
    harmonics: int  # annual harmonics of input and target weeks given as channels
    epochs: int
    keep_best: bool  # keep the weights of the epoch with the lowest validation loss, else those of the last
