"""The problems of the benchmarks: minima by hand, tables read in the order of their digits, budgets, run times."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from ConfigSpace import Configuration

from podnas.search import points
from podnas.search.encoding import Encoding

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def problems():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("problems")
    finally:
        sys.path.remove(str(BENCHMARKS))


def drawn(space, count: int) -> list[dict]:
    return [points.sample(space, points.stream(0, number)) for number in range(count)]


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("ackley5", 0.0),
        ("hartmann6", -3.32237),  # Dixon & Szegö
        ("mixed", 0.0),
        ("levy6", 0.0),
        ("rastrigin5", 0.0),
        ("styblinski_tang4", -39.16617 * 4),  # a dimension
        ("griewank6", 0.0),
        ("mixed_development", 0.0),
    ],
)
def test_no_point_is_below_the_known_minimum_and_the_best_point_has_it(problems, name, minimum):
    problem = problems.problem(name)
    assert problem.minimum == pytest.approx(minimum, abs=1e-4)
    assert problem.loss(problem.best) == pytest.approx(problem.minimum, abs=1e-12)
    Configuration(problem.space, values=problem.best)  # legal, and all that is active
    assert all(problem.loss(point) > problem.minimum for point in drawn(problem.space, 200))


def test_ackley_by_hand(problems):
    # at 1 in every dimension: cos 2π = 1, so the second term is -e; 20 - 20 exp(-0.2)
    ones = {f"x{number}": 1.0 for number in range(1, 6)}
    assert problems.problem("ackley5").loss(ones) == pytest.approx(20 - 20 * math.exp(-0.2))


@pytest.mark.parametrize("name", ["mixed", "mixed_development"])
def test_a_mixed_function_depends_on_every_active_variable(problems, name):
    problem = problems.problem(name)
    depends: set[str] = set()
    for number, point in enumerate(drawn(problem.space, 300)):
        mutant = Encoding(problem.space).mutate(point, np.random.default_rng(number))
        if len(changed := [key for key in point if key in mutant and mutant[key] != point[key]]) == 1:
            depends |= set(changed) if problem.loss(mutant) != problem.loss(point) else set()
    assert depends == set(problem.space)


def test_evolved_variables_are_of_the_space(problems):
    names = [
        name for name in (*problems.BENCHMARK, *problems.DEVELOPMENT) if not name.startswith(("fcnet", "nasbench"))
    ]
    for problem in map(problems.problem, names):
        assert set(problem.evolved) <= set(problem.space)
        assert problem.evolved


def test_row_numbers_count_the_last_variable_fastest(problems):
    number = problems.row_number({"a": ("x", "y"), "b": (1, 2, 4)})
    assert [number({"a": a, "b": b}) for a in "xy" for b in (1, 2, 4)] == list(range(6))


def test_a_table_gives_the_loss_of_its_epoch_and_the_time_of_its_share(problems):
    losses = np.array([[4.0, 3.0, 2.0, 1.0], [8.0, 7.0, 6.0, 5.0]])
    problem = problems.tabular("t", {"a": ("x", "y")}, losses, np.array([100.0, 200.0]), ("a",))
    assert problem.minimum == 1.0
    assert [problem.objective({"a": "y"}, budget) for budget in (0.01, 0.25, 0.5, 1.0)] == [8.0, 8.0, 7.0, 5.0]
    assert problem.run_seconds({"a": "y"}, 0.5, np.random.default_rng(0)) == 100.0


def test_words_are_categories_and_numbers_are_in_order(problems):
    space = problems.choices_space("s", {"word": ("a", "b"), "number": (0.0, 0.3)})
    assert [type(space[name]).__name__ for name in ("word", "number")] == [
        "CategoricalHyperparameter",
        "OrdinalHyperparameter",
    ]


@pytest.fixture
def data(monkeypatch, tmp_path):
    """A data folder with tables of the published shape, each value telling its row and seed."""
    folder = tmp_path / "tabular"
    folder.mkdir()
    monkeypatch.setenv("PODNAS_DATA", str(tmp_path))
    return folder


def test_fcnet_is_the_mean_of_four_seeds(problems, data):
    rows = np.arange(62_208, dtype=np.float32)[:, None]
    np.savez(data / "hpolib_x.npz", val_loss=rows + np.array([0, 1, 2, 3]), train_time=np.full((62_208, 4), 60.0))
    problem = problems.fcnet("x")
    last = {name: values[-1] for name, values in problems.FCNET_CHOICES.items()}
    assert problem.minimum == 1.5
    assert problem.loss(last) == 62_207 + 1.5
    # the last digit but one, n_units_1, counts 6
    assert problem.loss({**last, "n_units_1": 256}) == 62_207 - 6 + 1.5


def test_nasbench201_leaves_missing_seeds_out(problems, data):
    accuracy = np.tile(np.array([90.0, 92.0, np.nan], np.float32), (15_625, 1))
    np.savez(data / "nasbench201_cifar10.npz", val_acc=accuracy, train_time=accuracy)
    assert problems.nasbench201().minimum == pytest.approx(9.0)


def test_without_the_data_folder_the_remedy_is_named(problems, monkeypatch):
    monkeypatch.delenv("PODNAS_DATA", raising=False)
    with pytest.raises(ValueError, match="PODNAS_DATA is not set; set it"):
        problems.fcnet("naval_propulsion")


def test_the_sc20_table_holds_every_architecture_once(problems):
    problem = problems.problem("sc20")
    assert problem.epochs == 30
    assert problem.space.estimate_size() == 2048
    losses = [problem.loss(point) for point in drawn(problem.space, 300)]
    assert all(problem.minimum <= loss < 6 for loss in losses)
    # nothing learnt after one epoch that a full training does not better, on the whole
    early = [problem.objective(point, 1 / 30) for point in drawn(problem.space, 300)]
    assert np.median(losses) < np.median(early) - 0.1
    assert problems.SC20_TABLE.stat().st_size < 300_000


def test_suggestions_are_timed_on_18_mixed_variables(problems):
    space = problems.suggestion_space()
    kinds = [type(variable).__name__ for variable in space.values()]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert len(space) == 18
    assert counts == {
        "UniformFloatHyperparameter": 6,
        "UniformIntegerHyperparameter": 4,
        "OrdinalHyperparameter": 3,
        "CategoricalHyperparameter": 5,
    }
    depends: set[str] = set()
    for number, point in enumerate(drawn(space, 400)):
        mutant = Encoding(space).mutate(point, np.random.default_rng(number))
        if problems.suggestion_loss(mutant) != problems.suggestion_loss(point):
            depends |= {name for name in point if mutant[name] != point[name]}
    assert depends == set(space)


def test_function_run_times_are_normal_and_cut_off(problems):
    random = np.random.default_rng(0)
    seconds = [problems.problem("ackley5").run_seconds({}, 1.0, random) for _ in range(4000)]
    assert np.mean(seconds) == pytest.approx(60, abs=2)
    assert np.std(seconds) == pytest.approx(20, abs=2)
    assert min(seconds) >= 1.0
