"""Rule `tabular_scorecard`: scores of all splits in, the scorecard as JSON and text out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance
from podnas.verify import page, tabular


def main(scores: Path, outputs: tuple[Path, Path, Path, Path], stamp: Mapping[str, Any], title: str) -> None:
    cards = tabular.scorecard(artifacts.read_table(scores))
    found = {"stamp": dict(stamp), "scope": stamp["scope"], "won": tabular.won(cards), "sets": cards}
    text = tabular.page(title, found)
    artifacts.write_json(outputs[0], cards)
    artifacts.write_json(outputs[1], found)
    artifacts.write_text(outputs[2], text)
    artifacts.write_text(outputs[3], page.html(title, text))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        made = snakemake.output
        main(
            Path(snakemake.input.scores),
            (Path(made.json), Path(made.whole), Path(made.page), Path(made.html)),
            snakemake.params.stamp,
            snakemake.params.title,
        )
