"""All ensembles that an experiment forecasts with: the one it is about, and those that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from podnas.config import UncertaintyConfig
from podnas.ensemble import selection
from podnas.ensemble.mixture import Mixture
from podnas.ensemble.pool import Pool
from podnas.ensemble.selection import Choice, Ensemble, Fit, Prepared, Settings
from podnas.windows import Array

ENSEMBLE = "ensemble"  # networks alone
COMPLETE = "complete"  # networks and Gaussian baselines
BEST, SINGLE = "best_candidate", "best_network"  # one candidate: with its networks, one of which held each block out
DEEP, DROPOUT = "deep_ensemble", "mc_dropout"
OURS = (COMPLETE, ENSEMBLE, BEST, SINGLE, DEEP, DROPOUT)  # in the order of tables and figures
CHOSEN_ON = "chosen_on"  # blocks that its point, or its members, were chosen by: those it is scored on, or the others


class Record:
    """What is made of candidates, baselines and comparators on held-out blocks (truth: n, leads, modes), as JSON."""

    def __init__(self, truth: Array, config: UncertaintyConfig) -> None:
        self.truth, self.config, self.settings = truth, config, Settings.of(config)
        self.forecasts: dict[str, Any] = {}
        self.choices: dict[str, Any] = {}

    def chosen(self, name: str, members: Pool) -> None:
        """The ensemble of least CRPS over the blocks in turn."""
        held = members.held(self.truth)
        made, found = selection.choose(held, members.block, self.config.methods, self.config.sizes, self.settings)
        self.choices[name] = found["choices"]
        self._keep(name, members, made, found["chosen"], "other blocks")

    def made(self, name: str, members: Pool, fit: Fit, chosen_on: str | None = None) -> None:
        """An ensemble of all these members."""
        held = members.held(self.truth)
        (scores,) = selection.validated(held, members.block, self.settings, [fit])
        self._keep(name, members, fit(Prepared(held, self.settings)), scores, chosen_on)

    def alone(self, members: Pool) -> str:
        """The candidate that is best alone, with all of its networks and with the first; its name.

        On held-out blocks both have the scores of the candidate that is best on the other blocks.
        """
        held = members.held(self.truth)
        prepared, alone = Prepared(held, self.settings), Choice("top_k", 1)
        (scores,) = selection.validated(held, members.block, self.settings, [partial(Prepared.fit, choice=alone)])
        for name, networks in ((BEST, None), (SINGLE, 1)):
            self._keep(name, members, prepared.fit(alone), scores, "other blocks", networks)
        return list(members.candidates)[prepared.best()]

    def _keep(
        self,
        name: str,
        members: Pool,
        made: Ensemble,
        scores: Mapping[str, Any],
        chosen_on: str | None,
        networks: int | None = None,
    ) -> None:
        """networks: of later windows, the first so many of each candidate forecast alone."""
        self.forecasts[name] = {
            **made.record(),
            "correlation": selection.correlation(made, members.held(self.truth)).tolist(),
            "networks": networks,
            "held_out": {**scores, CHOSEN_ON: chosen_on},
        }


def record(candidates: Pool, baselines: Pool, comparators: Pool, truth: Array, config: UncertaintyConfig) -> Any:
    """All ensembles as JSON: members, weights, calibration, held-out scores, and of selections what they were among."""
    made = Record(truth, config)
    made.chosen(ENSEMBLE, candidates)
    if config.with_baselines:
        made.chosen(COMPLETE, candidates.joined(baselines))
    best = made.alone(candidates)
    for kind in (DEEP, DROPOUT):
        of_kind = [name for name in comparators.candidates if name.startswith(kind)]
        # of the best candidate on all blocks: on those that it is scored on, too
        made.made(kind, comparators.take(of_kind), Prepared.equal, "these blocks")
    for name in baselines.candidates:
        made.made(name, baselines.take([name]), Prepared.plain)
    sizes = selection.by_size(candidates.held(truth), candidates.block, made.settings)
    return {
        "forecasts": made.forecasts,
        "baselines": list(baselines.candidates),
        "best": best,
        "choices": made.choices,
        "sizes": sizes,
    }


def later(one: Mapping[str, Any], members: Pool) -> tuple[Mixture, list[str]]:
    """The calibrated mixture of later windows by one of the record's ensembles, and the names of its Gaussians."""
    made, networks = Ensemble.from_record(one), one["networks"]
    names = [
        f"{name}:{number}" for name in made.weights for number in range(len(members.candidates[name].mean))[:networks]
    ]
    return members.mixture(made.weights, made.factors, networks).scaled(made.factor), names
