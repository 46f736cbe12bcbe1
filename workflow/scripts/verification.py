"""Rule `verification`: scores of all protocols in; verification.json, its page and its report out."""

from collections.abc import Mapping
from pathlib import Path

from podnas import artifacts, provenance
from podnas.verify import ledger, page, uncertainty


def main(
    scores: Mapping[str, Path],
    in_space: Mapping[str, Path],
    ledger_file: Path,
    outputs: tuple[Path, Path, Path],
    title: str,
) -> None:
    found = {name: artifacts.read_json(path) for name, path in scores.items()}
    parts = [f"# Ensembles that know what they don't know: {title}\n"]
    for name, one in found.items():
        parts.append(uncertainty.page(one))
        if name in in_space:
            one["in_space"] = artifacts.read_json(in_space[name])
            parts.append(uncertainty.in_space(one["in_space"]))
        looks, different = ledger.count(ledger_file, name)
        one["looks"] = {"times": looks, "forecasts": different}
        parts.append(f"Test weeks of this protocol were looked at {looks} times, for {different} forecasts (ledger).\n")
    text = "\n".join(parts)
    artifacts.write_json(outputs[0], found)
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            {Path(path).stem: Path(path) for path in snakemake.input.scores},
            {Path(path).stem: Path(path) for path in snakemake.input.in_space},
            Path(snakemake.params.ledger),
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            snakemake.params.title,
        )
