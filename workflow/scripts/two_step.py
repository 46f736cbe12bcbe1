"""Rule `two_step`: trials in, what the two steps of the search have shown out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.search import steps
from podnas.verify import page


def main(trials: Path, report: Path, html: Path, name: str) -> None:
    found = steps.report(artifacts.read_table(trials))
    artifacts.write_json(report, found)
    artifacts.write_text(html, page.html(f"Two-step search {name}", steps.text(found)))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.trials),
            Path(snakemake.output.report),
            Path(snakemake.output.html),
            snakemake.wildcards.protocol,
        )
