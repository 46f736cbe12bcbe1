"""A user's objective in worker processes: what it gives, and how it may fail without taking the search with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from podnas.parallel import objective as objective_module
from podnas.parallel.objective import ObjectiveError, ProcessEvaluator, sources
from podnas.search.protocol import Outcome, Trial

OBJECTIVE = """
import os, signal, subprocess, sys, time
from pathlib import Path

CALLS = 0

def sphere(point):
    return point["x"] ** 2

def measured(point, budget=1.0, seed=None):
    global CALLS
    CALLS += 1
    return {"loss": point["x"], "part": budget, "seed": seed, "calls": CALLS, "endless": float("inf")}

def everything(point, **offered):
    return {"loss": 0, **{key.upper(): value for key, value in offered.items()}}

def failing(point):
    match point["x"]:
        case "raises":
            raise ValueError("too wide")
        case "exits":
            sys.exit(3)
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hangs":
            child = subprocess.Popen(["sleep", "600"])
            Path("child").write_text(str(child.pid))
            time.sleep(600)
        case "nan":
            return float("nan")
        case "nothing":
            return None
        case "no loss":
            return {"accuracy": 1.0}
        case "word":
            return {"loss": 1.0, "kind": "wide"}
        case "taken":
            return {"loss": 1.0, "seconds": 3.0}
        case number:
            return number

def kept(point, checkpoint, budget):
    file = Path(checkpoint) / "epochs"
    before = float(file.read_text()) if file.exists() else 0.0
    file.write_text(str(budget))
    return {"loss": 1 - budget, "before": before}

def parent_of_worker(point):
    Path("worker").write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def objective(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "objective.py").write_text(OBJECTIVE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def function(name: str) -> str:
    return f"mine/objective.py:{name}"


def outcomes(evaluator: ProcessEvaluator, *trials: Trial) -> list[Outcome]:
    """Outcomes in the order of their numbers."""
    for trial in trials:
        evaluator.submit(trial)
    made = [evaluator.finished() for _ in trials]
    return sorted(made, key=lambda outcome: outcome.trial.number)


def evaluate(target, *points, **settings) -> list[Outcome]:
    with ProcessEvaluator(target, settings.pop("workers", 1), **settings) as evaluator:
        return outcomes(evaluator, *(Trial(number, point) for number, point in enumerate(points)))


@pytest.mark.parametrize("target", ["mine/objective.py:sphere", "mine.objective:sphere"])
def test_a_function_in_a_file_or_a_module_gives_its_loss(target):
    started = time.time()
    first, second = evaluate(target, {"x": 3}, {"x": -0.5}, workers=2)
    assert (first.loss, second.loss) == (9.0, 0.25)
    assert first.trial == Trial(0, {"x": 3})
    assert first.error is None
    assert started <= first.ended <= time.time()
    assert 0 <= first.seconds < first.ended - started


def test_measures_stand_beside_the_loss_and_infinite_ones_are_left_out():
    with ProcessEvaluator(function("measured"), 1, seed=5) as evaluator:
        (one,) = outcomes(evaluator, Trial(4, {"x": 0.5}, budget=0.25))
    assert one.loss == 0.5
    assert set(one.measures) == {"part", "seed", "calls"}
    assert one.measures["part"] == 0.25


def test_a_worker_imports_its_function_once():
    made = evaluate(function("measured"), *[{"x": 0}] * 5)
    assert [outcome.measures["calls"] for outcome in made] == [1, 2, 3, 4, 5]


def test_seeds_are_the_trials_own_and_the_same_again():
    def seeds(seed: int) -> list[float]:
        return [one.measures["seed"] for one in evaluate(function("measured"), {"x": 0}, {"x": 0}, seed=seed)]

    first = seeds(1)
    assert first == seeds(1)
    assert len({*first, *seeds(2)}) == 4


def test_a_function_that_takes_anything_gets_everything():
    with ProcessEvaluator(function("everything"), 1) as evaluator:
        (one,) = outcomes(evaluator, Trial(7, {}, budget=0.5, share=0.25))
    assert one.measures.pop("SEED") >= 0
    assert one.measures == {"NUMBER": 7, "BUDGET": 0.5, "SHARE": 0.25}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("raises", "ValueError: too wide"),
        ("exits", "SystemExit: 3"),
        ("dies", "its process ended: killed by SIGKILL"),
        ("crashes", "its process ended: killed by SIGSEGV"),
        ("nothing", "TypeError: its result is None; give a number, or a mapping of numbers with a loss"),
        ("no loss", "ValueError: its result has no loss, only accuracy; add it as loss"),
        ("taken", "ValueError: its result has seconds, which the trial itself has; use other names"),
        ("word", "TypeError: kind is 'wide'; give a number, or a mapping of numbers with a loss"),
    ],
)
def test_what_fails_is_an_outcome_and_the_next_trial_is_evaluated(value, error):
    failed, after = evaluate(function("failing"), {"x": value}, {"x": 2.5})
    assert (failed.loss, failed.error) == (None, error)
    assert (after.loss, after.error) == (2.5, None)


def test_nan_is_passed_on():
    (one,) = evaluate(function("failing"), {"x": "nan"})
    assert one.loss != one.loss
    assert one.error is None


def test_a_trial_over_its_limit_is_ended_with_all_that_it_started(objective):
    hanging, after = evaluate(function("failing"), {"x": "hangs"}, {"x": 2.5}, limit_s=1.0)
    assert hanging.error == "took longer than the limit of 1 s for a trial, and was ended"
    assert hanging.seconds >= 1.0
    assert after.loss == 2.5
    assert gone(int((objective / "child").read_text()))


def gone(process: int, patience_s: float = 20.0) -> bool:
    """Whether a process has ended, or does so in a while."""
    deadline = time.monotonic() + patience_s
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_no_process_is_left_behind():
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    evaluate(function("failing"), {"x": "dies"}, {"x": "hangs"}, {"x": 1}, {"x": "raises"}, workers=2, limit_s=0.5)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_workers_end_when_their_parent_is_killed(objective):
    script = f"""
        from podnas.parallel.objective import ProcessEvaluator
        from podnas.search.protocol import Trial
        evaluator = ProcessEvaluator("{function("parent_of_worker")}", 1)
        evaluator.submit(Trial(0, {{}}))
        evaluator.finished()
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    while not ((objective / "worker").exists() and (text := (objective / "worker").read_text())):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(int(text))


def test_a_wait_that_is_too_short_gives_nothing_and_loses_nothing(objective):
    Path("slow.py").write_text(
        "import time\nfrom pathlib import Path\n\ndef f(point):\n"
        "    while not Path('go').exists():\n        time.sleep(0.01)\n    return 1\n"
    )
    with ProcessEvaluator("slow.py:f", 1) as evaluator:
        evaluator.submit(Trial(0, {}))
        assert evaluator.finished(timeout_s=0.0) is None
        assert evaluator.finished(timeout_s=0.05) is None
        Path("go").touch()
        assert evaluator.finished().loss == 1
        with pytest.raises(LookupError, match="no trial is under way"):
            evaluator.finished()


def test_a_target_is_loaded_before_the_first_trial_and_once(objective):
    Path("slow.py").write_text(
        "import time\nfrom pathlib import Path\n\nwith Path('loads').open('a') as file:\n    file.write('.')\n"
        "while not Path('go').exists():\n    time.sleep(0.01)\n\ndef f(point):\n    return 1\n"
    )
    with ProcessEvaluator("slow.py:f", 1, limit_s=60) as evaluator:
        assert not evaluator.load(timeout_s=0.0)
        Path("go").touch()
        assert evaluator.load()
        assert evaluator.load()
        (one,) = outcomes(evaluator, Trial(0, {}))
    assert one.loss == 1
    assert Path("loads").read_text() == "."


HANGING = "import time\nfrom pathlib import Path\n\nif Path('hang').exists():\n    time.sleep(600)\n"


@pytest.mark.parametrize("begin", [lambda one: one.load(), lambda one: outcomes(one, Trial(0, {}))])
def test_a_target_whose_loading_hangs_ends_the_search(begin, monkeypatch):
    monkeypatch.setattr(objective_module, "LOAD_S", 0.5)
    Path("hang").touch()
    Path("hanging.py").write_text(HANGING + "def f(point):\n    return 1\n")
    message = r"cannot be loaded \(it was not ready after \d+ s; a longer limit"
    with ProcessEvaluator("hanging.py:f", 1, limit_s=0.1) as evaluator, pytest.raises(ObjectiveError, match=message):
        begin(evaluator)


def test_a_replacement_that_hangs_in_loading_costs_its_trial_only(monkeypatch):
    monkeypatch.setattr(objective_module, "LOAD_S", 0.5)
    Path("hanging.py").write_text(HANGING + "import os\ndef f(point):\n    Path('hang').touch()\n    os._exit(3)\n")
    with ProcessEvaluator("hanging.py:f", 1, limit_s=0.1) as evaluator:
        evaluator.load()
        died, hung = outcomes(evaluator, Trial(0, {}), Trial(1, {}))
    assert "exit status 3" in died.error
    assert "could not be loaded again (it was not ready after" in hung.error


def test_loading_may_take_longer_than_a_trial():
    Path("slow.py").write_text("import time\ntime.sleep(0.5)\ndef f(point):\n    return 1\n")
    (one,) = evaluate("slow.py:f", {}, limit_s=0.4)
    assert one.loss == 1


def test_more_trials_than_workers_wait_their_turn():
    made = evaluate(function("sphere"), *({"x": x} for x in range(20)), workers=3)
    assert [outcome.loss for outcome in made] == [x**2 for x in range(20)]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.objective", "'mine.objective' names no function"),
        ("nowhere.py:f", "nowhere.py is no file in"),
        ([], "cannot be run"),
        (["no-such-program", "--fast"], "the command 'no-such-program --fast' cannot be run: no such program"),
    ],
)
def test_a_target_that_cannot_be_is_refused_at_once(target, message):
    with pytest.raises(ObjectiveError, match=message):
        ProcessEvaluator(target, 1)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.absent:f", "ModuleNotFoundError: No module named 'mine.absent'"),
        ("mine/objective.py:sphare", "has no function sphare; it has sphere, measured"),
        ("broken.py:f", r"its process ended: exit status 9"),
    ],
)
def test_a_target_that_cannot_be_loaded_ends_the_search_and_fails_no_trial(target, message):
    Path("broken.py").write_text("import os\nos._exit(9)\n")
    with ProcessEvaluator(target, 2) as evaluator, pytest.raises(ObjectiveError, match=message):
        outcomes(evaluator, Trial(0, {"x": 1}), Trial(1, {"x": 2}))
    with ProcessEvaluator(target, 2) as evaluator, pytest.raises(ObjectiveError, match=message):
        evaluator.load()


@pytest.mark.parametrize("fault", ["os.kill(os.getpid(), signal.SIGKILL)", "raise MemoryError('full')"])
def test_a_replacement_that_cannot_load_the_target_costs_its_trial_only(objective, fault):
    Path("once.py").write_text(
        "import os, signal\nfrom pathlib import Path\n"
        f"if Path('broken').exists():\n    Path('broken').unlink()\n    {fault}\n"
        "def loss(point):\n    if point['x'] < 0:\n        os._exit(3)\n    return point['x']\n"
    )
    with ProcessEvaluator("once.py:loss", 1) as evaluator:
        evaluator.submit(Trial(0, {"x": -1}))
        first = evaluator.finished()
        Path("broken").touch()
        evaluator.submit(Trial(1, {"x": 1}))
        second = evaluator.finished()
        evaluator.submit(Trial(2, {"x": 2}))
        third = evaluator.finished()
    assert "status 3" in first.error
    assert "the objective could not be loaded again" in second.error
    assert third.loss == 2.0


def test_no_worker_is_refused():
    with pytest.raises(ValueError, match="workers is 0"):
        ProcessEvaluator(function("sphere"), 0)


def script(text: str) -> list[str]:
    Path("run.py").write_text("import json, os, sys\ntrial = json.load(sys.stdin)\n" + textwrap.dedent(text))
    return [sys.executable, "run.py"]


def test_a_command_reads_a_trial_and_prints_its_loss_on_the_last_line():
    command = script("print('epoch 1', file=sys.stderr)\nprint('epoch 1')\nprint(trial['point']['x'] * 2)")
    assert [outcome.loss for outcome in evaluate(command, {"x": 1}, {"x": 2.5}, workers=2)] == [2.0, 5.0]


def test_a_command_may_print_measures():
    command = script("print(json.dumps({'loss': 1, 'seed': trial['seed'], 'which': trial['number']}))")
    with ProcessEvaluator(command, 1, seed=3) as evaluator:
        (one,) = outcomes(evaluator, Trial(9, {}))
    assert one.measures["which"] == 9
    assert one.measures["seed"] > 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sys.exit('no such data')", "exit status 1: no such data"),
        ("sys.exit(4)", "exit status 4: nothing on standard error"),
        ("os.abort()", "killed by SIGABRT: nothing on standard error"),
        ("print('done')", "ValueError: the last line of its output is 'done'; print a number"),
        ("pass", "ValueError: the last line of its output is ''; print a number"),
        ("print('[1]')", r"TypeError: its result is [1]; give a number"),
    ],
)
def test_a_command_that_fails_says_why(text, error):
    (one,) = evaluate(script(text), {"x": 1})
    assert one.loss is None
    assert one.error.startswith(error)


def test_a_command_over_its_limit_is_ended(objective):
    (one,) = evaluate(["sh", "-c", "echo $$ > child; exec sleep 600"], {"x": 1}, limit_s=2.0)
    assert one.error.startswith("took longer than the limit of 2 s")
    assert gone(int((objective / "child").read_text()))


def test_a_worker_is_no_mpi_rank(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "3")
    monkeypatch.setenv("SLURM_PROCID", "3")
    command = script("print(sum(key in ('PMI_RANK', 'SLURM_PROCID') for key in os.environ))")
    assert evaluate(command, {})[0].loss == 0


def test_a_continued_training_finds_its_checkpoint_in_a_later_run_too(objective):
    chain = [
        Trial(0, {}, budget=0.25),
        Trial(1, {}, budget=0.25),
        Trial(2, {}, budget=0.5, parent=0, continues=True),
        Trial(3, {}, budget=1.0, parent=2, continues=True),
    ]
    before = []
    for trial in chain:  # a new evaluator for each: what belongs together stands on the disk
        with ProcessEvaluator(function("kept"), 1, checkpoints=objective / "checkpoints") as evaluator:
            before.append(outcomes(evaluator, trial)[0].measures["before"])
    assert before == [0.0, 0.0, 0.25, 0.5]
    assert (objective / "checkpoints" / "3").resolve() == objective / "checkpoints" / "0"


def test_a_child_of_evolution_has_a_checkpoint_of_its_own(objective):
    made = []
    with ProcessEvaluator(function("kept"), 1, checkpoints=objective / "checkpoints") as evaluator:
        made += outcomes(evaluator, Trial(0, {}), Trial(1, {}, parent=0))
    assert [one.measures["before"] for one in made] == [0.0, 0.0]


def test_a_command_gets_its_checkpoint_too(objective):
    command = script("print(int(trial['checkpoint'].endswith('checkpoints/4') and os.path.isdir(trial['checkpoint'])))")
    with ProcessEvaluator(command, 1, checkpoints=Path("checkpoints")) as evaluator:
        (one,) = outcomes(evaluator, Trial(4, {}))
    assert one.loss == 1.0


def test_what_takes_no_checkpoint_makes_no_folder(objective):
    evaluate(function("sphere"), {"x": 1}, checkpoints=objective / "checkpoints")
    assert not (objective / "checkpoints").exists()


def test_sources_follow_the_files_that_a_target_names(objective):
    targets = [function("sphere"), "mine.objective:sphere", [sys.executable, "-c", "pass"], ["python", "run.py"]]
    script("pass")
    first = [sources(target) for target in targets]
    assert [set(one) for one in first] == [{"mine/objective.py"}, {"mine.objective"}, {sys.executable}, {"run.py"}]
    (objective / "mine" / "objective.py").write_text(OBJECTIVE + "\n")
    assert [a == b for a, b in zip(first, map(sources, targets), strict=True)] == [False, False, True, True]


def test_tracebacks_go_to_the_log_and_environment_does_not(caplog, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret-token")
    with caplog.at_level("INFO", "podnas"):
        evaluate(function("failing"), {"x": "raises"})
    assert 'raise ValueError("too wide")' in caplog.text
    assert "secret-token" not in caplog.text
