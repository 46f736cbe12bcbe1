"""Rule `figure_skill`: scores in, skill by lead and mode of all methods out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import skill, style


def main(scores: Path, forecast: Path, figure: Path) -> None:
    stamps = [artifacts.read_forecast(forecast).attrs]
    style.save(skill.draw(artifacts.read_table(scores), stamps), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.scores), Path(snakemake.input.forecast), Path(snakemake.output.figure))
