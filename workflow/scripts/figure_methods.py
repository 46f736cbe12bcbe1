"""Rule `figure_methods`: scores in, all methods side by side out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import methods, style
from podnas.verify import reported


def main(scores: Path, forecast: Path, figure: Path, with_reported: bool) -> None:
    stamps = [artifacts.read_forecast(forecast).attrs]
    published = reported.SC20 if with_reported else ()
    style.save(methods.draw(artifacts.read_table(scores), published, stamps), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.scores),
            Path(snakemake.input.forecast),
            Path(snakemake.output.figure),
            snakemake.params.with_reported,
        )
