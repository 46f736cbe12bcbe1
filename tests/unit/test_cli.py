"""The commands: a user's objective searched and continued, its trials given to Optuna, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from typer.testing import CliRunner

from podnas import artifacts, commands
from podnas.__main__ import app
from podnas.parallel import launch
from podnas.parallel.exchange import Gone
from podnas.search import log
from podnas.search.log import table
from podnas.search.protocol import Outcome, Trial

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "search.md"

OBJECTIVE = """
from pathlib import Path

def loss(point, seed, number):
    with Path("made").open("a") as stream:
        stream.write(f"{number}\\n")
    if number == 3:
        raise MemoryError("too wide")
    return {"loss": (point["rate"] - 0.01) ** 2 + point.get("gate", 1.0), "cost": point["width"]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for variable in (name for pair in launch.PLACES for name in pair):
        monkeypatch.delenv(variable, raising=False)
    Path("mine.py").write_text(OBJECTIVE)
    space = ConfigurationSpace()
    space.add(
        [Float("rate", (1e-4, 1.0), log=True), Integer("width", (8, 64)), Categorical("kind", ["plain", "gated"])]
    )
    space.add(Float("gate", (0.0, 1.0)))
    space.add(EqualsCondition(space["gate"], space["kind"], "gated"))
    space.to_json("space.json")
    return tmp_path


def podnas(line: str, code: int = 0):
    result = CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def search(rest: str = "", code: int = 0):
    given = {"--objective": "mine.py:loss", "--algorithm": "random", "--trials": "8"}
    defaults = " ".join(f"{key} {value}" for key, value in given.items() if key not in rest and "--command" not in rest)
    return podnas(f"search --space space.json --folder found {defaults} {rest}", code)


def made() -> list[int]:
    return sorted(int(line) for line in Path("made").read_text().split())


def test_an_objective_is_searched_and_its_trials_are_kept():
    result = search("--workers 2")
    trials = artifacts.read_table(Path("found/trials.parquet")).sort_values("number")
    assert list(trials.number) == made() == list(range(8))
    assert trials.loss.isna().sum() == 1
    assert list(trials.error.dropna()) == ["MemoryError: too wide"]
    assert trials.cost.dropna().between(8, 64).all()
    best = trials.loc[trials.loss.idxmin()]
    assert f"{best.loss:.6g}" in result.stdout
    assert "best of 8 trials, 1 of them failed" in result.stdout


def test_the_record_beside_the_table_says_what_made_it():
    search("--seed 7")
    record = artifacts.read_json(Path("found/trials.parquet.provenance.json"))
    assert record["objective"] == "mine.py:loss"
    assert set(record["sources"]) == {"mine.py"}
    assert record["search"]["seed"] == 7
    assert record["search"]["algorithm"] == "random"
    assert {one["name"] for one in record["space"]["hyperparameters"]} == {"rate", "width", "kind", "gate"}
    assert record["packages"]["numpy"]


def test_the_log_has_the_traceback_of_what_failed():
    search()
    assert 'raise MemoryError("too wide")' in Path("found/search-0000.log").read_text()


def test_the_same_command_again_makes_nothing_again():
    search()
    first = artifacts.read_table(Path("found/trials.parquet"))
    Path("found/trials.parquet").unlink()
    search()
    assert made() == list(range(8))
    pd.testing.assert_frame_equal(artifacts.read_table(Path("found/trials.parquet")), first)


@pytest.mark.parametrize("change", ["--trials 12", "--trials 12 --workers 3", "--trials 12 --trial-limit-minutes 5"])
def test_more_trials_and_workers_go_on_with_the_same_log(change):
    search()
    search(change)
    assert made() == list(range(12))
    assert len(artifacts.read_table(Path("found/trials.parquet"))) == 12


@pytest.mark.parametrize("change", ["--seed 5", "--algorithm evolution"])
def test_another_search_begins_anew_and_leaves_the_old_one_alone(change):
    search()
    logs = {file: file.read_bytes() for file in Path("found/trials").rglob("*.jsonl")}
    search(change)
    assert made() == sorted([*range(8)] * 2)
    assert all(file.read_bytes() == before for file, before in logs.items())


def test_the_table_of_another_search_is_kept_and_told():
    search()
    first = artifacts.read_table(Path("found/trials.parquet"))
    result = search("--seed 5")
    assert "the table of another search is kept as found/trials-" in result.stderr
    (kept,) = Path("found").glob("trials-*.parquet")
    assert kept.stem == f"trials-{next(Path('found/trials').glob(f'*{kept.stem[7:]}*')).name}"  # that of its logs
    pd.testing.assert_frame_equal(artifacts.read_table(kept), first)
    assert artifacts.read_json(Path(f"{kept}.provenance.json"))["search"]["seed"] == 0
    assert artifacts.read_json(Path("found/trials.parquet.provenance.json"))["search"]["seed"] == 5
    again = search("--seed 5 --trials 12")  # the same search, extended
    assert "is kept as" not in again.stderr
    assert len(list(Path("found").glob("*.parquet"))) == 2


@pytest.mark.parametrize("record", [None, "{}"])
def test_a_table_that_no_search_wrote_is_never_replaced(record):
    Path("found").mkdir()
    Path("found/trials.parquet").write_text("mine")
    if record is not None:
        Path("found/trials.parquet.provenance.json").write_text(record)
    refused = search(code=1).stderr
    assert "found/trials.parquet is there, and nothing beside it" in refused
    assert "choose another --folder" in refused
    assert Path("found/trials.parquet").read_text() == "mine"
    assert not Path("made").exists()


def test_a_second_objective_that_no_trial_gives_is_named_with_those_there_are():
    refused = search("--second-objective csot", code=1)
    assert "no trial has a measure 'csot' for the second objective; they have cost: name one" in refused.stderr
    pytest.importorskip("optuna")
    line = "export-optuna found/trials.parquet found.log --second-objective csot"
    assert "they have cost" in podnas(line, code=1).stderr
    assert not Path("found.log").exists()


def test_an_edited_objective_begins_anew():
    search()
    Path("mine.py").write_text(OBJECTIVE + "# edited\n")
    search()
    assert len(made()) == 16


def test_a_command_is_searched():
    Path("run.py").write_text("import json, sys\nprint(json.load(sys.stdin)['point']['rate'])\n")
    search(f"--command '{sys.executable} run.py' --trials 3 --algorithm random")
    trials = artifacts.read_table(Path("found/trials.parquet"))
    assert list(trials.loss) == [json.loads(point)["rate"] for point in trials.point]


def test_a_file_of_settings_holds_keys_of_the_section_and_the_command_line_wins():
    Path("search.yaml").write_text("algorithm: evolution\ntrials: 5\npopulation: 3\nsample: 2\nseed: 9\n")
    podnas("search --space space.json --folder found --objective mine.py:loss --settings search.yaml --seed 1")
    settings = artifacts.read_json(Path("found/trials.parquet.provenance.json"))["search"]
    assert {key: settings[key] for key in ("algorithm", "trials", "population", "seed")} == {
        "algorithm": "evolution",
        "trials": 5,
        "population": 3,
        "seed": 1,
    }


def test_two_objectives_print_their_pareto_set():
    result = search("--second-objective cost --trials 20")
    printed = result.stdout.partition("Pareto set of loss and cost")[2]
    numbers = [int(number) for number in re.findall(r"^│\s*(\d+)\s*│", printed, flags=re.MULTILINE)]
    trials = artifacts.read_table(Path("found/trials.parquet")).dropna(subset=["loss"])
    better = [((trials.loss < one.loss) & (trials.cost <= one.cost)).any() for one in trials.itertuples()]
    worse = [((trials.loss <= one.loss) & (trials.cost < one.cost)).any() for one in trials.itertuples()]
    front = [one.number for one, b, w in zip(trials.itertuples(), better, worse, strict=True) if not (b or w)]
    assert sorted(numbers) == sorted(front)


def test_trials_of_the_largest_budget_come_first():
    made = [Outcome(Trial(0, {}, 0.25), 0.1), Outcome(Trial(1, {}), 0.5), Outcome(Trial(2, {}), None, "broken")]
    assert [outcome.trial.number for outcome in commands.ranked(made)] == [1, 0]
    assert (
        commands.pareto_set([Outcome(made[1].trial, 0.5, measures={"cost": 1}), made[0]], "cost")[0].trial.number == 1
    )


def test_a_search_in_which_all_trials_fail_says_so():
    Path("mine.py").write_text("def loss(point):\n    raise KeyError('data')\n")
    result = search(code=1)
    assert "all 8 trials failed, the first with: KeyError: 'data'; mend the objective" in result.stderr
    assert len(artifacts.read_table(Path("found/trials.parquet"))) == 8


def test_a_time_limit_ends_cleanly_and_the_next_run_goes_on():
    search("--time-limit-minutes 1e-9")
    assert not Path("made").exists()
    assert len(artifacts.read_table(Path("found/trials.parquet"))) == 0
    search()
    assert made() == list(range(8))


def test_ranks_that_are_started_again_keep_to_the_first_end_of_time(monkeypatch):
    given: dict[str, str] = {}
    monkeypatch.setattr(launch, "mpiexec", lambda *_, environment, **__: given.update(environment))
    started = time.time()
    search("--ranks 2 --time-limit-minutes 2")
    assert started + 120 <= float(given[launch.DEADLINE]) <= time.time() + 120
    # the table is written by the process that starts ranks, whichever of them are left
    assert len(artifacts.read_table(Path("found/trials.parquet"))) == 0
    monkeypatch.setenv(launch.DEADLINE, "1.0")
    search("--time-limit-minutes 2")
    assert not Path("made").exists()


class Leaving:
    """Another rank, the first, of which is known only at the end that it was lost."""

    rank, ranks = 1, 2

    def __init__(self) -> None:
        self.closed = False

    def send(self, messages):
        pass

    def receive(self):
        return [] if self.closed else [(0, Gone(over=False))]

    def silent(self):
        return set()

    def lost(self):
        return {0} if self.closed else set()

    def close(self):
        self.closed = True


def test_the_next_rank_writes_the_table_where_the_first_is_lost_at_the_end(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setattr(launch, "guard", lambda: None)
    monkeypatch.setattr(launch, "exchange", lambda *_: Leaving())
    search()
    assert len(artifacts.read_table(Path("found/trials.parquet"))) > 0


@pytest.mark.parametrize(("lanes", "workers", "used"), [("5", 2, 5), ("1", 2, 2), (None, 2, 2)])
def test_lanes_of_the_file_of_settings_count_where_there_are_no_more_workers(lanes, workers, used):
    Path("search.yaml").write_text("" if lanes is None else f"lanes: {lanes}\n")
    search(f"--settings search.yaml --workers {workers}")
    record = json.loads(Path("found/trials.parquet.provenance.json").read_text())
    assert record["search"]["lanes"] == used


def start(line: str) -> subprocess.Popen[str]:
    words = shlex.split(f"{sys.executable} -m podnas {line}")
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_killed_search_loses_no_finished_trial_and_makes_none_twice():
    hanging = "    if number == 5 and not Path('go').exists():\n        time.sleep(600)\n    if number == 3:"
    Path("mine.py").write_text("import time\n" + OBJECTIVE.replace("    if number == 3:", hanging))
    line = "search --space space.json --objective mine.py:loss --folder found --algorithm random --trials 8"
    killed = start(line)
    while not (Path("made").exists() and 5 in made()):  # it hangs in trial 5
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    Path("go").touch()
    podnas(line)
    assert made() == [0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert sorted(artifacts.read_table(Path("found/trials.parquet")).number) == list(range(8))


def test_starts_that_could_not_load_the_objective_count_against_no_trial():
    Path("mine.py").write_text("import table_of_mine\n" + OBJECTIVE)
    for _ in range(log.TRIES):
        assert "No module named 'table_of_mine'" in search("--workers 2", code=launch.HOPELESS).stderr
    Path("table_of_mine.py").touch()
    search("--workers 2")
    trials = artifacts.read_table(Path("found/trials.parquet")).sort_values("number")
    assert list(trials.number) == made() == list(range(8))
    assert list(trials.error.dropna()) == ["MemoryError: too wide"]


@pytest.fixture
def keyboard():
    """Processes that are started hear Ctrl-C, also where these tests run in the background of a shell and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_a_trial_that_was_interrupted_from_the_keyboard_is_made_whenever_the_search_goes_on():
    hanging = "    if number == 2 and not Path('go').exists():\n        time.sleep(600)\n    if number == 3:"
    Path("mine.py").write_text("import time\n" + OBJECTIVE.replace("    if number == 3:", hanging))
    line = "search --space space.json --objective mine.py:loss --folder found --algorithm random --trials 8"
    for times in range(1, log.TRIES + 1):
        interrupted = start(line)
        while not (Path("made").exists() and made().count(2) == times):
            assert interrupted.poll() is None
            time.sleep(0.05)
        interrupted.send_signal(signal.SIGINT)
        interrupted.communicate(timeout=60)
    Path("go").touch()
    podnas(line)
    assert made() == [0, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7]
    trials = artifacts.read_table(Path("found/trials.parquet"))
    assert list(trials.error.dropna()) == ["MemoryError: too wide"]


def test_ranks_that_cannot_load_the_objective_are_not_started_again_and_begin_no_trial():
    Path("mine.py").write_text("import table_of_mine\n" + OBJECTIVE)
    line = "search --space space.json --objective mine.py:loss --folder found --algorithm random --trials 8 --ranks 2"
    ranks = start(line)
    output = ranks.communicate(timeout=300)[0]
    assert ranks.returncode == 1, output
    assert "podnas: ranks cannot do what they are started for" in output
    assert "No module named 'table_of_mine'); mend it and start again" in output
    assert "started again" not in output.replace("mend it and start again", "")
    (logs,) = Path("found/trials").iterdir()
    assert log.merge(logs).running == log.merge(logs).outcomes == []


@pytest.mark.parametrize(
    ("rest", "number", "send"),
    [("", signal.SIGTERM, os.kill), ("--ranks 2", signal.SIGINT, os.killpg), ("--ranks 2", signal.SIGTERM, os.kill)],
)
@pytest.mark.usefixtures("keyboard")
def test_an_interrupted_search_releases_its_trials_on_all_ranks(rest, number, send):
    """Ctrl-C goes to all processes of a terminal, SIGTERM to the one that was started."""
    hanging = OBJECTIVE.replace("    if number == 3:", "    time.sleep(600)\n    if number == 3:")
    Path("mine.py").write_text("import time\n" + hanging)
    line = f"search --space space.json --objective mine.py:loss --folder found --algorithm random --trials 8 {rest}"
    words = shlex.split(f"{sys.executable} -m podnas {line}")
    begun = 2 if rest else 1
    search = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    while not (Path("made").exists() and len(made()) == begun):
        assert search.poll() is None, search.communicate()[0]
        time.sleep(0.05)
    send(search.pid, number)
    output, _ = search.communicate(timeout=60)
    assert search.returncode != 0, output
    (logs,) = Path("found/trials").iterdir()
    assert log.merge(logs).tries == dict.fromkeys(range(begun), 0)


def test_ranks_search_together_and_one_process_goes_on_with_what_they_left():
    line = "search --space space.json --objective mine.py:loss --folder found --algorithm random"
    ranks = start(f"{line} --trials 6 --ranks 2")
    output = ranks.communicate(timeout=300)[0]
    assert ranks.returncode == 0, output
    assert output.count("best of") == 1
    first = made()
    assert len(first) == len(set(first)) >= 6
    assert sorted(artifacts.read_table(Path("found/trials.parquet")).number) == first
    assert len(list(Path("found").rglob("rank-*.jsonl"))) == 2
    podnas(f"{line} --trials {len(first) + 3}")
    assert len(made()) == len(first) + 3
    assert set(made()) > set(first)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("--command true", "give either --objective or --command"),
        ("--objective nowhere.py:f", "nowhere.py is no file in"),
        ("--objective mine.py:f", "mine.py has no function f; it has loss"),
        ("--algorithm annealing", "algorithm: Input should be 'random'"),
        ("--trials 0", "trials: Input should be greater than or equal to 1 (value: 0)"),
        ("--space absent.json", "the space absent.json cannot be read (No such file or directory)"),
        ("--space mine.py", "mine.py is no search space"),
        ("--settings absent.yaml", "absent.yaml cannot be read"),
        ("--settings wrong.yaml", "trails: Extra inputs are not permitted (value: 5)"),
        ("--settings list.yaml", "list.yaml holds no keys of the section search"),
        ("--folder mine.py", "mine.py cannot be a folder"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(rest, message):
    Path("wrong.yaml").write_text("trails: 5\n")
    Path("list.yaml").write_text("- algorithm\n")
    objective = "" if rest.startswith("--objective") else "--objective mine.py:loss "
    space = "" if rest.startswith("--space") else "--space space.json "
    place = "" if rest.startswith("--folder") else "--folder found "
    code = launch.HOPELESS if rest.startswith("--objective") else 1
    result = podnas(f"search {objective}{space}{place}{rest}", code)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not Path("found/trials.parquet").exists()


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ("algorithm: asha", "loss does not take `budget`, the share of a full training that asha and hyperband give"),
        ("algorithm: hyperband", "def loss(point, budget=1.0) and train by it"),
        ("two_step: {fraction: 0.5}", "loss does not take `share`, the share of the data that the first of two steps"),
        ("{algorithm: asha, two_step: {fraction: 0.5}}", "def loss(point, budget=1.0, share=1.0)"),
    ],
)
def test_a_function_that_would_ignore_what_the_search_varies_is_refused_before_any_trial(settings, missing):
    Path("search.yaml").write_text(settings)
    line = "search --space space.json --folder found --objective mine.py:loss --settings search.yaml --trials 8"
    assert missing in podnas(line, code=1).stderr
    assert not Path("made").exists()
    taken = OBJECTIVE.replace("(point, seed, number)", "(point, seed, number, budget=1.0, share=1.0)")
    for text in (taken, OBJECTIVE.replace("seed, number)", "number, **rest)")):
        Path("mine.py").write_text(text)
        podnas(line)
    assert made()


def test_a_program_reads_what_the_search_varies():
    Path("run.py").write_text("import json, sys\nprint(json.load(sys.stdin)['budget'])\n")
    search(f"--command '{sys.executable} run.py' --trials 20 --algorithm asha")
    trials = artifacts.read_table(Path("found/trials.parquet"))
    assert list(trials.loss) == list(trials.budget)
    assert trials.budget.min() < 1


def test_with_neither_objective_nor_command_nothing_is_searched():
    assert "give either --objective or --command" in podnas("search --space space.json --folder found", code=1).stderr


def study(file: str = "found.log"):
    optuna = pytest.importorskip("optuna")
    backend = optuna.storages.journal.JournalFileBackend(file)
    return optuna.load_study(study_name="podnas", storage=optuna.storages.JournalStorage(backend))


def test_trials_go_to_optuna():
    pytest.importorskip("optuna")
    search()
    podnas("export-optuna found/trials.parquet found.log --space space.json")
    trials = artifacts.read_table(Path("found/trials.parquet")).sort_values("number")
    assert [trial.params for trial in study().trials] == [json.loads(point) for point in trials.point]
    assert study().best_value == trials.loss.min()
    assert study().trials[0].distributions["rate"].log


def test_the_logs_of_a_running_search_go_to_optuna_and_are_left_alone():
    pytest.importorskip("optuna")
    search()
    (file,) = Path("found").rglob("rank-*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"trial": {"num')  # a line that is being written
    before = file.read_bytes()
    podnas("export-optuna found found.log")
    assert len(study().trials) == 8
    assert file.read_bytes() == before


def test_a_study_is_replaced_only_where_that_is_asked_for():
    pytest.importorskip("optuna")
    search()
    podnas("export-optuna found/trials.parquet found.log")
    before = Path("found.log").read_bytes()
    refused = podnas("export-optuna found/trials.parquet found.log", code=1)
    assert "found.log exists; give --overwrite" in refused.stderr
    assert Path("found.log").read_bytes() == before
    podnas("export-optuna found/trials.parquet found.log --overwrite")
    assert len(study().trials) == 8


def test_architectures_of_the_workflow_have_the_choices_of_their_space():
    optuna = pytest.importorskip("optuna")
    point = {key: 0 if key.startswith("skip") else "16" for key in commands.architecture_space()}
    # as it was written before trials had an end
    old = table([Outcome(Trial(0, point), 0.5, seconds=3.0)], None).drop(columns=["ended", "share", "continues"])
    artifacts.write_table(Path("trials.parquet"), old)
    podnas("export-optuna trials.parquet found.log")
    widths = optuna.distributions.CategoricalDistribution(["identity", "16", "32", "48", "64", "80", "96"])
    assert study().trials[0].distributions["node_1"] == widths


def test_a_folder_without_one_search_in_it_is_refused():
    Path("empty").mkdir()
    assert "and it has these: none; name one" in podnas("export-optuna empty found.log", code=1).stderr
    assert "absent.parquet does not exist" in podnas("export-optuna absent.parquet found.log", code=1).stderr


def blocks() -> dict[str, str]:
    """Files that the documentation shows, by the name in their first line."""
    found = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", DOCUMENTATION.read_text(), flags=re.DOTALL)
    return dict(found)


def test_the_examples_of_the_documentation_run(monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name, text in blocks().items():
        Path(name).write_text(text)
    assert set(blocks()) == {"make_space.py", "mine.py", "train.py", "search.yaml"}
    exec(compile(blocks()["make_space.py"], "make_space.py", "exec"), {})
    lines = re.findall(r"^podnas (search --space .*)$", DOCUMENTATION.read_text(), flags=re.MULTILINE)
    assert len(lines) == 2
    for number, line in enumerate(lines):
        podnas(line.replace("--folder found", f"--folder found_{number}"))
        assert artifacts.read_table(Path(f"found_{number}/trials.parquet")).loss.notna().all()
    podnas("search --space space.json --objective mine.py:loss --folder found_yaml --settings search.yaml --trials 30")
    assert set(artifacts.read_table(Path("found_yaml/trials.parquet")).share) == {0.25, 1.0}


def test_the_python_of_the_documentation_runs():
    (text,) = re.findall(r"## From Python\n\n```python\n(.*?)```", DOCUMENTATION.read_text(), flags=re.DOTALL)
    names: dict = {}
    exec(compile(text, "search.md", "exec"), names)
    assert names["search"].ask(1) == []
