"""Scores of probabilities of an event (n,) against whether it came (n,), with intervals over blocks of weeks.

Brier score and skill, cross-entropy, area under the ROC curve, reliability, and the economic value for a user who pays
the cost C of protection or bears the loss L (Richardson 2000).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podnas.ensemble.members import check_classes
from podnas.verify import differences, paired
from podnas.verify.probabilistic import interval, resampled, with_record
from podnas.windows import Array

BINS = 10
RATIOS = tuple(np.round(np.arange(0.05, 1, 0.05), 2).tolist())  # cost over loss
LEAST = 1e-12  # of a probability in a logarithm


def summary(probability: Array, outcome: Array, reference: Array, climatology: Array) -> dict[str, Any]:
    """All numbers of one forecast; reference: the baseline's probabilities, climatology: the training base rate's.

    Raises ValueError where all outcomes are alike.
    """
    check_classes(outcome)
    weeks = differences.fitting(paired.BLOCK_WEEKS, len(outcome))
    drawn = _with_both(with_record(len(outcome), weeks), outcome)
    ours, theirs, simple = (resampled(brier(one, outcome), drawn) for one in (probability, reference, climatology))
    less = interval(ours - theirs)
    return {
        "windows": len(outcome),
        "block_weeks": weeks,
        "base_rate": float(outcome.mean()),
        "brier": interval(ours),
        "brier_skill_reference": interval(1 - ours / theirs),
        "brier_skill_climatology": interval(1 - ours / simple),
        "brier_less_reference": {**less, "verdict": paired.verdict({"low": -less["high"], "high": -less["low"]})},
        "auc": interval(auc(probability, outcome, drawn)),
        "auc_reference": interval(auc(reference, outcome, drawn)),
        "cross_entropy": interval(resampled(entropy(probability, outcome), drawn)),
        "balanced_cross_entropy": interval(_balanced(entropy(probability, outcome), outcome, drawn)),
        "reliability": reliability(probability, outcome),
        "value": value(probability, outcome),
        "value_reference": value(reference, outcome),
    }


def _with_both(drawn: Array, outcome: Array) -> Array:
    """The resamples in which the event both came and did not; of others there is no area under a curve."""
    came = outcome == 1
    both: Array = drawn[drawn[:, came].any(axis=1) & drawn[:, ~came].any(axis=1)]
    return both


def brier(probability: Array, outcome: Array) -> Array:
    """Squared errors of probabilities (n,)."""
    squares: Array = (probability - outcome) ** 2
    return squares


def entropy(probability: Array, outcome: Array) -> Array:
    """Negative logarithm of the probability of what came (n,), in nats."""
    said = np.where(outcome == 1, probability, 1 - probability)
    nats: Array = -np.log(np.maximum(said, LEAST))
    return nats


def _balanced(values: Array, outcome: Array, drawn: Array) -> Array:
    """Mean over the two classes of their mean values, (resamples,)."""
    means = [drawn[:, outcome == one] @ values[outcome == one] / drawn[:, outcome == one].sum(axis=1) for one in (0, 1)]
    mean: Array = np.mean(means, axis=0)
    return mean


def auc(probability: Array, outcome: Array, drawn: Array) -> Array:
    """Area under the ROC curve (resamples,): share of pairs of an event and a non-event in the right order, ties half.

    drawn: how often each window stands in each resample (resamples, n).
    """
    came = outcome == 1
    above = np.sign(probability[came][:, None] - probability[~came]) / 2 + 0.5
    events, others = drawn[:, came], drawn[:, ~came]
    right = np.einsum("rn,rn->r", events @ above, others)
    area: Array = right / (events.sum(axis=1) * others.sum(axis=1))
    return area


def reliability(probability: Array, outcome: Array, bins: int = BINS) -> list[dict[str, float]]:
    """Mean probability, share that came, and number of forecasts in equal bins of probability that hold any."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        {
            "forecast": float(probability[place == number].mean()),
            "observed": float(outcome[place == number].mean()),
            "count": int((place == number).sum()),
        }
        for number in np.unique(place)
    ]


def value(probability: Array, outcome: Array, ratios: Sequence[float] = RATIOS) -> Mapping[str, float]:
    """Economic value by ratio of cost to loss: 1 for perfect forecasts, 0 for always or never protecting.

    A user protects when the probability is at least the ratio.
    """
    rate, made = outcome.mean(), {}
    for ratio in ratios:
        acts = probability >= ratio
        spent = (acts * ratio + (~acts & (outcome == 1))).mean()
        simple = min(ratio, rate)
        made[f"{ratio:g}"] = float((simple - spent) / (simple - rate * ratio))
    return made
