"""The ledger of looks at test weeks."""

from __future__ import annotations

import numpy as np
import pytest

from podnas import artifacts
from podnas.verify import ledger


def weeks(first: str, last: str) -> np.ndarray:
    return np.array([first, last], "datetime64[ns]").reshape(2, 1)


def entry(protocol: str, time: str, configuration: str = "a", method: str = "m") -> dict[str, str]:
    return {"time": time, "protocol": protocol, "method": method, "configuration": configuration}


def test_looks_by_protocols_that_share_weeks_count(tmp_path):
    path = tmp_path / "results" / "ledger.jsonl"
    ledger.append(path, [entry("short", "1"), entry("short", "1", method="other")], weeks("1990-01-07", "2018-06-24"))
    ledger.append(path, [entry("long", "2")], weeks("2003-01-05", "2018-06-24"))
    ledger.append(path, [entry("early", "3")], weeks("1990-01-07", "1995-01-01"))
    ledger.append(path, [entry("uncertainty", "4")])
    assert ledger.count(path, "short") == (3, 4)
    assert ledger.count(path, "long") == (2, 3)
    assert ledger.count(path, "uncertainty") == (1, 1)


def test_the_same_forecast_scored_again_is_another_look_and_no_other_forecast(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for time in "12":
        ledger.append(path, [entry("short", time)], weeks("1990-01-07", "2018-06-24"))
    assert ledger.count(path, "short") == (2, 1)
    ledger.append(path, [entry("short", "3", "b")], weeks("1990-01-07", "2018-06-24"))
    assert ledger.count(path, "short") == (3, 2)


def test_a_lost_ledger_is_no_clean_one(tmp_path):
    with pytest.raises(artifacts.ArtifactError, match="no line of protocol short"):
        ledger.count(tmp_path / "ledger.jsonl", "short")
