"""Rule `figure_fan`: quantiles of a forecast and what came in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import fan, style


def main(given: Path, figure: Path, lead_weeks: int) -> None:
    read = artifacts.read_fan(given)
    style.save(fan.draw(read, lead_weeks, [read.attrs]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.fan), Path(snakemake.output.figure), snakemake.params.lead)
