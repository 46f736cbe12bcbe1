"""Configuration: what is accepted, what is refused, and what the refusal says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from podnas import config, reference
from podnas.__main__ import app

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "config" / "experiments").glob("*.yaml"))
SMALLEST: dict[str, Any] = {
    "experiment": "toy",
    "title": "Toy",
    "pod": {"modes": 2, "train_last": "1989-12-28"},
    "protocols": [
        {
            "name": "short",
            "train_first": "1981-10-29",
            "train_last": "1989-12-28",
            "test_first": "1989-12-31",
            "test_last": "2018-06-24",
        }
    ],
}


def changed(key: str, value: object) -> dict[str, Any]:
    """The smallest configuration with one dotted key set; a part that is a number counts in a list."""
    values = copy.deepcopy(SMALLEST)
    *sections, last = key.split(".")
    inner: Any = values
    for section in sections:
        inner = inner[int(section)] if section.isdigit() else inner.setdefault(section, {})
    inner[last] = value
    return values


def refusal(key: str, value: object) -> str:
    with pytest.raises(ValueError, match="the configuration is refused") as caught:
        config.load(changed(key, value))
    return str(caught.value)


def test_smallest_configuration_is_complete() -> None:
    assert config.load(SMALLEST).windows.inputs == 8


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("windows.input", "windows.input: unknown key; did you mean windows.inputs?"),
        ("baseline", "baseline: unknown key; did you mean baselines?"),
        ("protocols.0.test_frist", "did you mean protocols.test_first?"),
        ("search.members", "search.members: unknown key; did you mean ensemble.members?"),
        ("pod.zzzzzzzz", "pod.zzzzzzzz: unknown key; config/README.md lists the keys there are"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest_one(key: str, hint: str) -> None:
    assert hint in refusal(key, 1)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("windows.inputs", 0, "greater than or equal to 1 (value: 0)"),
        ("windows.inputs", "many", "valid integer"),
        ("pod.captured_variance", 0.9, "exactly one of pod.modes and pod.captured_variance"),
        ("pod.train_last", "1990-01-07", "inside the test period of protocol short"),
        ("source.kind", "path", "source.files must be given for kind: path"),
        ("source.kind", "ftp", "'twin', 'daymet_twin', 'psl', 'path' or 'nino34'"),
        ("source.years", [2000, 2001], "source.years goes with kind: daymet_twin only"),
        ("source.kind", "daymet_twin", "kind: daymet_twin needs source.years"),
        ("field.lat", [10, -10], "the southern edge 10.0 is not south of the northern edge -10.0"),
        ("search.sample", 11, "search.sample 11 is larger than search.population 10"),
        ("verify.map_lead_weeks", 9, "set it <= windows.outputs"),
        ("protocols.0.test_first", "1989-12-21", "need train_first < train_last < test_first < test_last"),
        ("experiment", "../elsewhere", "match pattern"),
    ],
)
def test_value_out_of_bounds_is_refused_with_the_rule(key: str, value: object, told: str) -> None:
    message = refusal(key, value)
    assert told in message
    assert "unknown key" not in message


def test_all_refusals_are_told_at_once() -> None:
    values = changed("windows.inputs", 0) | {"baseline": {}}
    with pytest.raises(ValueError, match=r"(?s)windows\.inputs.*baseline"):
        config.load(values)


def test_missing_section_is_named() -> None:
    with pytest.raises(ValueError, match="pod: missing"):
        config.load({key: value for key, value in SMALLEST.items() if key != "pod"})


def test_protocols_of_one_name_are_refused() -> None:
    twice = SMALLEST | {"protocols": SMALLEST["protocols"] * 2}
    with pytest.raises(ValueError, match="each must be different"):
        config.load(twice)


def test_sections_cannot_be_changed_after_validation() -> None:
    experiment = config.load(SMALLEST)
    with pytest.raises(ValueError, match="frozen"):
        experiment.windows.inputs = 9  # type: ignore[misc]


def test_there_are_experiments() -> None:
    assert {"tiny", "indian_ocean"} <= {file.stem for file in EXPERIMENTS}


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_experiment_over_the_default_is_valid_and_bears_its_file_name(file: Path) -> None:
    assert config.merge(ROOT / "config" / "config.yaml", file).experiment == file.stem


def test_default_is_the_sst_experiment() -> None:
    assert config.merge(ROOT / "config" / "config.yaml").experiment == "sst"


def test_merge_replaces_lists_and_joins_sections(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower.yaml", tmp_path / "upper.yaml"
    lower.write_text("search: {trials: 5, seed: 3}\nbaselines: {lstm_units: [1, 2, 3]}\n")
    upper.write_text("search: {trials: 6}\nbaselines: {lstm_units: [4]}\n")
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(SMALLEST))
    merged = config.merge(base, lower, upper)
    assert (merged.search.trials, merged.search.seed, merged.baselines.lstm_units) == (6, 3, (4,))


@pytest.mark.parametrize("key", ["config/schema.json", "config/README.md"])
def test_committed_file_agrees_with_the_code(key: str) -> None:
    made = {"config/schema.json": config.schema, "config/README.md": reference.text}[key]()
    assert (ROOT / key).read_text(encoding="utf-8") == made, f"{key} differs from src/podnas/config/: `make generate`"


def test_every_key_is_described_and_stands_in_the_reference() -> None:
    schema = config.ExperimentConfig.model_json_schema()
    text = reference.text()
    for section in [schema, *schema["$defs"].values()]:
        for key, field in section["properties"].items():
            assert f"{key}`" in text
            assert "description" in field or "$ref" in str(field), f"{section['title']}.{key} needs a description"


def test_generate_check_fails_on_drift_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["generate", "--check"]).exit_code == 1
    assert not (tmp_path / "config").exists()
    assert CliRunner().invoke(app, ["generate"]).exit_code == 0
    assert CliRunner().invoke(app, ["generate", "--check"]).exit_code == 0
    (tmp_path / "config" / "schema.json").write_text("{}")
    assert CliRunner().invoke(app, ["generate", "--check"]).exit_code == 1


def test_adbo_with_lies_is_refused():
    with pytest.raises(ValueError, match="adbo keeps ranks apart by their kappas"):
        config.SearchConfig(algorithm="adbo", bayes={"multipoint": "liar"})


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            {"cell_size": 2.5, "coarsen": 4},
            "field.cell_size is 2.5 and field.coarsen 4, but each alone gives the size of the cells; leave one out",
        ),
        (
            {"first": "2001-01-02", "last": "2001-01-01"},
            "field.first 2001-01-02 is after field.last 2001-01-01; swap them",
        ),
        ({"rest_of_year": "in_last_week"}, "field.rest_of_year: in_last_week goes with field.weeks: of_year only"),
    ],
)
def test_settings_of_the_field_that_contradict_one_another_are_refused(section: dict[str, Any], told: str) -> None:
    assert told in refusal("field", section)


def test_settings_of_the_field_that_agree_are_taken() -> None:
    for section in (
        {"cell_size": 2.5, "coarsen": 1},
        {"first": "2001-01-01", "last": "2001-01-01"},
        {"weeks": "of_year", "rest_of_year": "in_last_week"},
    ):
        config.load(changed("field", section))


@pytest.mark.parametrize("address", ["localhost", "host:8786", "tcp://", ""])
def test_an_address_of_a_cluster_has_its_form(address: str) -> None:
    told = refusal("pod.cluster", address)
    assert f"pod.cluster: {address!r} is neither slurm nor the address of a dask scheduler" in told
    assert "tcp://host:port" in told


def test_a_cluster_is_slurm_or_an_address() -> None:
    for address in ("slurm", "tcp://127.0.0.1:8786", "tls://host:1", None):
        assert config.load(changed("pod.cluster", address)).pod.cluster == address


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"head": None}}, "uncertainty needs networks that give a sigma"),
        ({"uncertainty": {"candidates": 900}}, "uncertainty.candidates is 900, but .* makes 200 trials"),
        ({"uncertainty": {"sizes": [30]}}, "sizes has 30, but candidates is 20"),
        ({"uncertainty": {"baselines": ["damped_persistence"]}}, "climatology must be one"),
        ({"uncertainty": {"baselines": ["climatology", "xgboost"]}}, "those with a spread are"),
    ],
)
def test_ensembles_that_cannot_be_made_are_refused(tmp_path, changes, words):
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump(changes))
    with pytest.raises(ValueError, match=words):
        config.merge(ROOT / "config/config.yaml", ROOT / "config/experiments/autodeuq_sst.yaml", over)
