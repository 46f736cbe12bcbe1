"""Stage: the adaptors that judge searches and ingredients, from training windows to the table and the figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib import image

from podnas import artifacts, windows
from podnas.config import AblationConfig, JudgedConfig, SearchConfig, TrainingConfig
from tests.adaptors import adaptor
from tests.series import CONFIG, PROTOCOL, coefficients

ROOT = Path(__file__).parents[2]
FIVE = CONFIG.model_copy(update={"validation_blocks": 5})
TRAINING = TrainingConfig(batch_size=32, engine="kernels")
SEARCH = SearchConfig(trials=4, population=2, sample=1, epochs=1, lanes=1)
JUDGED = JudgedConfig(searches=2, top=2)
ABLATION = AblationConfig(members=2, sizes=(1, 2), blocks=({"validated": 0, "untouched": 4},))
STAMP = {
    "experiment": "made_up",
    "coefficients": "made up",
    "protocol": "short",
    "train_period": "1990-01-07 to 1994-12-25",
    "test_period": "1995-01-01 to 1997-12-28",
    "seeds": "searches 6",
}


def search(folder: Path) -> None:
    outputs = (folder / "trials.parquet", folder / "searches.json")
    adaptor("judged_search").main(
        folder / "train.nc", outputs, folder / "searches", JUDGED, SEARCH, TRAINING, FIVE, "code", 1
    )


def ablate(folder: Path) -> None:
    full = {"training": TRAINING.model_dump(), "windows": FIVE.model_dump(), "ensemble": {"epochs": 2}}
    without = {**full, "windows": {**full["windows"], "harmonics": 0}}
    adaptor("judged_ablation").main(
        folder / "train.nc",
        (folder / "ablation.nc", folder / "ablation.json"),
        folder / "ablation",
        ABLATION,
        {"full": full, "no_harmonics": without},
        "code",
        1,
    )


def score(folder: Path, ablated: bool = True) -> None:
    adaptor("judged_score").main(
        folder / "trials.parquet",
        folder / "searches.json",
        folder / "train.nc",
        (folder / "ablation.nc", folder / "ablation.json") if ablated else None,
        (folder / "judged.json", folder / "judged.md", folder / "judged.html"),
        2,
        (1, 2) if ablated else (),
        STAMP,
        "made up",
    )
    adaptor("figure_judged").main(folder / "judged.json", folder / "judged.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("judged")
    artifacts.write_windows(made / "train.nc", windows.split(coefficients(), PROTOCOL, FIVE)[0], artifacts.TRAINING)
    search(made)
    ablate(made)
    score(made)
    return made


def test_every_search_has_its_trials_and_its_scores(folder):
    trials = artifacts.read_table(folder / "trials.parquet")
    assert trials.groupby(["algorithm", "search"]).size().to_dict() == {
        (algorithm, number): 4 for algorithm in ("evolution", "random") for number in range(2)
    }
    assert trials[["validation_r2", "untouched_r2"]].notna().all().all()
    found = artifacts.read_json(folder / "judged.json")
    assert [(one["validated"], one["untouched"]) for one in found["searches"]] == [(0, 4), (0, 4), (4, 0), (4, 0)]
    mine = trials[(trials.algorithm == "evolution") & (trials.search == 1)].sort_values(["loss", "number"])
    chosen = found["searches"][2]["chosen"]["best"]
    assert chosen["untouched"] == pytest.approx(mine.untouched_r2.iloc[0])
    assert chosen["validation"] == pytest.approx(mine.validation_r2.max())


def test_the_ablation_has_every_setting(folder):
    found = artifacts.read_json(folder / "judged.json")["ablation"]
    assert [one["setting"] for one in found["settings"]] == ["full", "no_harmonics"]
    assert found["blocks"] == [4]
    # block 4 has 52 weeks: windows of 4 + 4
    assert found["windows"] == 52 - 7
    assert found["recipes"]["no_harmonics"]["windows"]["harmonics"] == 0


def files(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*.npz")}


def test_a_killed_study_keeps_the_networks_that_it_has(folder):
    before = files(folder)
    trials, ablation = ((folder / name).read_bytes() for name in ("trials.parquet", "ablation.nc"))
    lost = folder / "ablation" / "no_harmonics_4_01.npz"
    # the last trial was under way when its process was killed
    log = next((folder / "searches").glob("*/rank-0000.jsonl"))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    lost.unlink()
    search(folder)
    ablate(folder)
    made_again = {name for name, when in files(folder).items() if before[name] != when}
    last = log.parent.relative_to(folder) / "forecast_00003.npz"
    assert made_again == {str(last), "ablation/no_harmonics_4_01.npz"}
    after = artifacts.read_table(folder / "trials.parquet")
    (folder / "before.parquet").write_bytes(trials)
    earlier = artifacts.read_table(folder / "before.parquet")
    same = ["algorithm", "search", "number", "point", "loss", "validation_r2", "untouched_r2"]
    assert after[same].equals(earlier[same])
    (folder / "before.nc").write_bytes(ablation)
    read = artifacts.read_transfer_validation
    assert (read(folder / "before.nc").forecast == read(folder / "ablation.nc").forecast).all()


def test_table_and_figure_are_made(folder):
    page = (folder / "judged.md").read_text()
    assert "no test week is read" in page
    assert "| evolution: the best trial by validation" in page
    assert "| `no_harmonics`" in page
    assert "<table>" in (folder / "judged.html").read_text()
    picture = image.imread(folder / "judged.png")
    assert picture.shape[1] == 1420
    assert picture.std() > 0


def test_searches_are_judged_without_an_ablation(folder, tmp_path):
    for name in ("trials.parquet", "searches.json", "train.nc"):
        (tmp_path / name).symlink_to(folder / name)
    score(tmp_path, ablated=False)
    assert "ablation" not in artifacts.read_json(tmp_path / "judged.json")
    assert image.imread(tmp_path / "judged.png").shape[0] < image.imread(folder / "judged.png").shape[0]
