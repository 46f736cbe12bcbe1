"""The site file: read from its place or the environment's, refused where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from podnas.cluster import site
from podnas.cluster.site import SiteConfig

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    file = folder / "site.yaml"
    file.write_text(text)
    return file


def test_the_committed_file_is_neutral() -> None:
    assert site.load(ROOT / "config" / "site.yaml") == SiteConfig()


def test_another_file_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert site.load() == SiteConfig()
    monkeypatch.setenv(site.ELSEWHERE, str(written(tmp_path, "partition: long\nsearches: {ranks: 8, gpus: 1}\n")))
    given = site.load()
    assert (given.partition, given.searches.ranks) == ("long", 8)
    assert given.partition_of(1) == "long"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partitions: x", r"site\.yaml is refused:\n  partitions: unknown key; did you mean partition\?"),
        ("searches: {rank: 3}", r"searches\.rank: unknown key; did you mean searches\.ranks\?"),
        ("jobs: 0", r"jobs: .* greater than or equal to 1 \(value: 0\)"),
        ("searches: {gpus: 2}", r"searches\.gpus: Input should be 0 or 1 \(value: 2\)"),
        ("partition: two words", r"partition: .* \(value: 'two words'\)"),
        ("account: [", r"site\.yaml is no YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        site.load(written(tmp_path, text))


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml cannot be read .* set PODNAS_SITE"):
        site.load(tmp_path / "none.yaml")


def test_schema_refuses_unknown_keys() -> None:
    schema = json.loads(site.schema())
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(SiteConfig.model_fields)
