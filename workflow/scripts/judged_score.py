"""Rule `judged_score`: trials of the searches and forecasts of the ablation in, their tables as JSON and text out.

No test target is read: all blocks lie in the training period.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.verify import ablation, judged, page


def main(
    trials: Path,
    searches: Path,
    train: Path,
    ablated: tuple[Path, Path] | None,
    outputs: tuple[Path, Path, Path],
    top: int,
    sizes: tuple[int, ...],
    stamp: Mapping[str, Any],
    title: str,
) -> None:
    about = artifacts.read_json(searches)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    told = {key: str(value) for key, value in windows.stamped(stamp, training, training).items()}
    told |= {"test_period": "not read", "test_windows": "0"}
    found = judged.summary(artifacts.read_table(trials), about["searches"], top)
    whole = {"stamp": told, "recipe": about["recipe"], **found}
    text = judged.title(title, whole) + judged.page(whole)
    if ablated is not None:
        forecasts, networks = artifacts.read_transfer_validation(ablated[0]), artifacts.read_json(ablated[1])
        made = ablation.summary(forecasts, networks["networks"], sizes)
        whole["ablation"] = {"recipes": networks["recipes"], "windows_by_block": networks["windows"], **made}
        text += "\n" + ablation.page(made)
    artifacts.write_json(outputs[0], whole)
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.trials),
            Path(given.searches),
            Path(given.train),
            (Path(given.forecasts), Path(given.networks)) if snakemake.params.sizes else None,
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            snakemake.params.top,
            tuple(snakemake.params.sizes),
            snakemake.params.stamp,
            snakemake.params.title,
        )
