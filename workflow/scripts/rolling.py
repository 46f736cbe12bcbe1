"""Rule `rolling`: forecasts of all refits of a rolling protocol in, one forecast of each method out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from podnas import artifacts, provenance, windows


def main(refits: Mapping[str, Sequence[Path]], predictions: Mapping[str, Path]) -> None:
    for method, path in predictions.items():
        parts = [artifacts.read_prediction(part) for part in refits[method]]
        artifacts.write_prediction(path, windows.joined(parts))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            {name: [Path(path) for path in snakemake.input[name]] for name, _ in snakemake.output.items()},
            {name: Path(path) for name, path in snakemake.output.items()},
        )
