"""A worker process of `objective.py`: calls a user's function, or runs a command, for one trial after another.

Trials come in and results go out as lines of JSON on a socket. Imports the standard library only, so it starts at once.
When the socket closes because the parent is gone, however it went, the worker ends with all that it had started.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any

Call = Callable[[dict[str, Any]], object]  # what a trial offers: point, budget, seed, … → a loss, or measures with one

# columns of the table of trials, which has one for each measure beside them
TAKEN = frozenset({"number", "step", "parent", "continues", "budget", "share", "point", "error", "seconds", "ended"})
# what a search varies that trains in part: a function that did not take it would train in full, and be believed
VARIED = {
    "budget": "share of a full training that asha and hyperband give each trial",
    "share": "share of the data that the first of two steps gives each trial",
}
TAIL_BYTES = 65_536  # of a command's output, that its last line is looked for in


class CommandError(Exception):
    """A command that ended with another status than 0."""


def main(descriptor: int, target: str | list[str], needed: Sequence[str] = ()) -> None:
    """Load the target, say so, and evaluate trials for ever; `needed`: keywords that a function has to take."""
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)  # the parent sees the end of this process, not of its children
    offers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(channel, offers), daemon=True).start()
    try:
        call = command(target) if isinstance(target, list) else function(target, needed)
    except BaseException as error:  # a module may fail in any way
        _reply(channel, _failure(error))
        return
    _reply(channel, {"ready": True})
    while True:
        _reply(channel, evaluate(call, offers.get()))


def evaluate(call: Call, offer: dict[str, Any]) -> dict[str, Any]:
    """Loss, measures and seconds of one trial, or the error and the traceback of one that failed."""
    started = time.perf_counter()
    try:
        result = _measures(call(offer))
    except BaseException as error:  # SystemExit, too: an objective may call sys.exit
        result = _failure(error)
    return {**result, "seconds": time.perf_counter() - started}


def function(name: str, needed: Sequence[str] = ()) -> Call:
    """A function named package.module:function or path/to/file.py:function; it gets the arguments that it takes.

    Raises TypeError where it does not take one of those that are needed (VARIED).
    """
    place, _, attribute = name.rpartition(":")
    module = _file_module(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    if not callable(found := getattr(module, attribute, None)):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise AttributeError(f"{place} has no function {attribute}; it has {', '.join(functions) or 'none'}")
    taken = _keywords(found)
    _check_taken(attribute, taken, needed)

    def call(offer: dict[str, Any]) -> object:
        point = offer.pop("point")
        if taken is None or "checkpoint" in taken:
            with_checkpoint(offer)
        return found(point, **{key: value for key, value in offer.items() if taken is None or key in taken})

    return call


def _check_taken(name: str, taken: set[str] | None, needed: Sequence[str]) -> None:
    missing = [] if taken is None else [keyword for keyword in needed if keyword not in taken]
    if missing:
        told = " and ".join(f"`{keyword}`, the {VARIED[keyword]}" for keyword in missing)
        example = ", ".join(f"{keyword}=1.0" for keyword in missing)
        raise TypeError(
            f"{name} does not take {told}; write def {name}(point, {example}) and train by it, or choose a search that "
            "trains in full"
        )


def command(words: Sequence[str]) -> Call:
    """A command that reads a trial as JSON from its input and prints the result on its last line."""

    def call(offer: dict[str, Any]) -> object:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            text = json.dumps(with_checkpoint(offer)) + "\n"
            done = subprocess.run(words, input=text.encode(), stdout=output, stderr=errors, check=False)
            if done.returncode:
                raise CommandError(f"{ending(done.returncode)}: {_last_line(errors) or 'nothing on standard error'}")
            return _parsed(_last_line(output))

    return call


def with_checkpoint(offer: dict[str, Any]) -> dict[str, Any]:
    """The offer, in place, with the folder of a trial's training: its own, or that of the trial that it continues.

    Which one that is stands on the disk (a link with the trial's number), for other ranks and for later runs.
    """
    continued = offer.pop("continues", None)
    if (place := offer.pop("checkpoints", None)) is None:
        return offer
    own = Path(place) / str(offer["number"])
    own.parent.mkdir(parents=True, exist_ok=True)
    if continued is not None:
        with suppress(FileExistsError):
            own.symlink_to((own.parent / str(continued)).resolve().name)
    folder = own.resolve()
    folder.mkdir(exist_ok=True)
    offer["checkpoint"] = str(folder)
    return offer


def _file_module(file: Path) -> ModuleType:
    """Run a file as a module; what stands beside it can be imported."""
    specification = importlib.util.spec_from_file_location(file.stem, file)
    if specification is None or specification.loader is None or not file.is_file():
        raise FileNotFoundError(f"{file} does not exist in {Path.cwd()}")
    sys.path.insert(0, str(file.parent.absolute()))
    module = importlib.util.module_from_spec(specification)
    sys.modules[file.stem] = module
    specification.loader.exec_module(module)
    return module


def _keywords(found: Callable[..., object]) -> set[str] | None:
    """Names after the point that a function takes by keyword; None: any."""
    try:
        parameters = list(inspect.signature(found).parameters.values())[1:]
    except ValueError:  # written in C
        return set()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters if parameter.kind in kinds}


def _parsed(line: str) -> object:
    try:
        return float(line)
    except ValueError:
        pass
    try:
        return json.loads(line)
    except ValueError:
        raise ValueError(
            f"the last line of its output is {line[:200]!r}; print a number, or a JSON object with a loss"
        ) from None


def _measures(value: Any) -> dict[str, Any]:
    """The loss, and beside it the measures that are finite: a table of trials has no place for others."""
    if not isinstance(value, Mapping):
        return {"loss": _number("its result", value), "measures": {}}
    if "loss" not in value:
        raise ValueError(f"its result has no loss, only {', '.join(map(str, value)) or 'nothing'}; add it as loss")
    if taken := TAKEN.intersection(value):
        raise ValueError(f"its result has {', '.join(sorted(taken))}, which the trial itself has; use other names")
    numbers = {str(key): _number(str(key), inner) for key, inner in value.items()}
    loss = numbers.pop("loss")
    return {"loss": loss, "measures": {key: number for key, number in numbers.items() if abs(number) < float("inf")}}


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r:.200}; give a number, or a mapping of numbers with a loss") from None


def ending(status: int) -> str:
    """How a process ended, in words."""
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def _last_line(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - TAIL_BYTES))
    lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, CommandError):
        return {"error": str(error)}
    name = type(error).__name__
    return {
        "error": f"{name}: {error}" if str(error) else name,
        "traceback": "".join(traceback.format_exception(error)),
    }


def _receive(channel: socket.socket, offers: queue.SimpleQueue[dict[str, Any]]) -> None:
    with channel.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            offers.put(json.loads(line))
    os.killpg(0, signal.SIGKILL)  # the parent is gone: this process leads a group of its own


def _reply(channel: socket.socket, record: Mapping[str, Any]) -> None:
    channel.sendall((json.dumps(record) + "\n").encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]))
