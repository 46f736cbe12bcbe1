"""How forecasts with a spread are drawn: the ensembles, and the baselines beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podnas.figures import style
from podnas.figures.style import Style

ENSEMBLES: Mapping[str, Style] = {
    "complete": Style("networks and baselines", style.VERMILION, "*"),
    "ensemble": Style("networks alone", style.ORANGE, "D"),
    "best_candidate": Style("best candidate", style.PURPLE, "o", (0, (4, 1.5))),
    "best_network": Style("best network", style.PURPLE, "s", (0, (1, 1))),
    "deep_ensemble": Style("deep ensemble", style.GREEN, "^", (0, (4, 1, 1, 1))),
    "mc_dropout": Style("dropout left on", style.GREEN, "v", (0, (1, 1))),
}


def look(name: str) -> Style:
    """Style of an ensemble or of a Gaussian baseline."""
    return ENSEMBLES[name] if name in ENSEMBLES else style.METHODS[name]


def shown(found: Mapping[str, Any]) -> list[str]:
    """What curves are drawn of: our ensembles, the best baseline and the climatology."""
    names = [name for name in ("complete", "ensemble", "deep_ensemble", "mc_dropout") if name in found["forecasts"]]
    return [*names, *dict.fromkeys((found["best_baseline"], "climatology"))]
