"""Rule `scorecard`: scores of all protocols in, scorecard.json and scorecard.md out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from podnas import artifacts, provenance
from podnas.verify import ledger, page, scorecard


def main(
    scores: Mapping[str, Path],
    maps: Mapping[str, Path],
    differences: Mapping[str, Path],
    regions: Mapping[str, Path],
    stacks: Mapping[str, Mapping[str, Path]],
    catalogues: Mapping[str, Mapping[str, Sequence[Path]]],
    agreement: Path | None,
    ledger_file: Path,
    as_json: Path,
    as_page: Path,
    as_html: Path,
    title: str,
    with_reported: bool,
) -> None:
    tables = {name: artifacts.read_table(path) for name, path in scores.items()}
    found = {name: artifacts.read_json(path) for name, path in differences.items()}
    entries = scorecard.rows(tables, found, with_reported)
    protocols = [
        {
            "name": name,
            "stamp": artifacts.read_maps(maps[name]).attrs,
            "looks": ledger.count(ledger_file, name),
            "table": table,
            "found": found[name],
            "regions": artifacts.read_json(regions[name]),
            "stacks": {fit: artifacts.read_json(path) for fit, path in stacks[name].items()},
            "catalogues": {
                method: [artifacts.read_json(path) for path in paths] for method, paths in catalogues[name].items()
            },
        }
        for name, table in tables.items()
    ]
    notes = scorecard.notes(artifacts.read_json(agreement) if agreement else None, with_reported)
    artifacts.write_json(as_json, entries)
    text = scorecard.page(title, entries, protocols, notes, with_reported)
    artifacts.write_text(as_page, text)
    artifacts.write_text(as_html, page.html(title, text))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        names = snakemake.params.protocols
        main(
            dict(zip(names, map(Path, snakemake.input.scores), strict=True)),
            dict(zip(names, map(Path, snakemake.input.maps), strict=True)),
            dict(zip(names, map(Path, snakemake.input.differences), strict=True)),
            dict(zip(names, map(Path, snakemake.input.regions), strict=True)),
            {
                name: {fit: Path(path) for fit, path in of_protocol.items()}
                for name, of_protocol in snakemake.params.stacks.items()
            },
            {
                name: {method: list(map(Path, paths)) for method, paths in of_protocol.items()}
                for name, of_protocol in snakemake.params.catalogues.items()
            },
            next(map(Path, snakemake.input.agreement), None),
            Path(snakemake.params.ledger),
            Path(snakemake.output.json),
            Path(snakemake.output.page),
            Path(snakemake.output.html),
            snakemake.params.title,
            snakemake.params.with_reported,
        )
