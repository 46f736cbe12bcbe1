"""The tabular benchmark end to end on a generated set in a local folder, then a second run that does nothing."""

from __future__ import annotations

import json

from tests import publisher, tables
from tests.unit.test_uci import yacht
from tests.workflow.conftest import checkout, snakemake

OVER = """\
experiment: waves
title: A generated set
search: {algorithm: agebo, trials: 4, population: 2, sample: 1, lanes: 1, bayes: {initial: 2, trees: 3}, two_step: null}
tabular:
  sets: [waves]
  folder: here
  splits: 1
  folds: 3
  space: {layers: 1, widths: [8], updates: {choices: [20, 40]}}
verify: {regions: [], events: [], probes: [], reported: null}
"""


def test_a_set_becomes_a_scorecard_and_is_left_alone_then(tmp_path):
    folder = checkout(tmp_path)
    tables.write(folder / "here")
    (folder / "waves.yaml").write_text(OVER)
    done = snakemake(folder, "-c1", "--configfile", "waves.yaml")
    assert done.returncode == 0, done.stdout[-5000:]
    results = folder / "results" / "waves"
    assert json.loads((results / "scorecard.json").read_text())["waves"]["splits"] == 1
    assert (results / "figures" / "tabular.png").exists()
    assert (results / "scorecard.json.provenance.json").exists()
    assert len((results / "ledger.jsonl").read_text().splitlines()) == 8
    again = snakemake(folder, "-n", "--configfile", "waves.yaml")
    assert "Nothing to be done" in again.stdout


DOWNLOADED = """\
experiment: yacht
tabular: {{sets: [yacht], folder: nowhere, download: "{address}/UCI_Datasets"}}
"""


def test_a_set_that_is_not_at_hand_is_downloaded_and_split(tmp_path):
    folder = checkout(tmp_path)
    (folder / "waves.yaml").write_text(OVER)
    target = "results/yacht/tabular/yacht/split_0.npz"
    with publisher.serving() as server:
        server.files = {f"/UCI_Datasets/yacht/data/{name}": text for name, text in tables.texts(yacht()).items()}
        (folder / "yacht.yaml").write_text(DOWNLOADED.format(address=server.address))
        done = snakemake(folder, "-c1", "--configfile", "waves.yaml", "yacht.yaml", "--", target)
        assert done.returncode == 0, done.stdout[-5000:]
        assert (folder / target).exists()
        asked = len(server.asked)
        again = snakemake(folder, "-n", "--configfile", "waves.yaml", "yacht.yaml", "--", target)
    assert "Nothing to be done" in again.stdout
    assert asked == len(server.asked) == 44
