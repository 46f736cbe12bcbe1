"""Downloads: one file, or all that a range of days needs, in parallel; what has come stays, whatever happens then.

Beside each file stands a record of where it came from, its size and SHA-256, and how it was checked. A file with a
record that fits is not asked for again.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from podnas import artifacts, progress
from podnas.artifacts import ArtifactError
from podnas.data import earthdata, published, records, transfer
from podnas.data.archive import DATA_FOLDER, SET_FOLDER
from podnas.data.earthdata import Login
from podnas.data.part import Interrupted
from podnas.data.published import Form, Item
from podnas.data.transfer import Client, Policy, Refused, Unchanged
from podnas.data.whole import Damaged

LOG = logging.getLogger(__name__)

POLICY = Policy()
OFFLINE = "PODNAS_OFFLINE"
SHOWN = 5  # failures or missing files named in an error
FAILURES_IN_A_ROW = 10  # then nothing more is asked for
REPORT_S = 10.0


class Failure(ArtifactError):
    """One file that no address gives; others may come."""


@dataclass(frozen=True)
class Had:
    """A file that is here now: where, whether it was here before, its bytes."""

    path: Path
    kept: bool
    size: int


def offline() -> bool:
    """Whether the environment forbids to ask servers."""
    return os.environ.get(OFFLINE, "").lower() not in ("", "0", "false", "no")


def fetch(url: str, output: Path, local: str, policy: Policy | None = None, form: Form = "netCDF") -> None:
    """Download a file whole or not at all, resumed where an earlier one was cut; its record stands beside it.

    `local`: where in the data folder the file would be looked for, named in the error. `form`: what it is, where
    no netCDF file.

    ArtifactError where the server cannot be reached, refuses, cuts the transfer or sends something else.
    """
    item = Item(output.name, (url,), form=form)
    if offline():
        raise ArtifactError(f"{url} is not asked for: {OFFLINE} is set; {_by_hand(local)}")
    _make(output.parent)
    with closing(Client(policy or POLICY, Login())) as client:
        try:
            _download(client, item, output.parent)
        except Failure as error:
            raise ArtifactError(f"{error}; {_by_hand(local)}") from error
    LOG.info("downloaded %s from %s", output, url)


def run(
    items: Sequence[Item],
    folder: Path,
    policy: Policy | None = None,
    login: Login | None = None,
    verify: bool = False,
    no_network: bool = False,
) -> list[Path]:
    """Put all items into a folder and return their paths, in order.

    `verify`: read again what is here and compare it with its record. `no_network`: only look whether all is here and
    fits: its record, or where it has none, all that is read.

    ArtifactError names what is missing and why; all else has been downloaded by then.
    """
    if no_network or offline():
        return _at_hand(items, folder, verify)
    _make(folder)
    check_space(items, folder)
    login = login or Login()
    _warn_of_login(items, login)
    with closing(Client(policy or POLICY, login)) as client:
        return _all(client, items, folder, verify)


def needed(
    archive: str, first: date, last: date, variable: str = "tmax", mirrors: Sequence[str] = (), publisher: bool = True
) -> list[Item]:
    """What a range of days needs of an archive of `published.ADDRESSES`: from the mirrors, then from its publisher.

    ValueError where the range or a mirror cannot be meant, or nobody is to be asked.
    """
    addresses = (*mirrors, *(published.ADDRESSES[archive] if publisher else ()))
    if not addresses:
        raise ValueError("neither a mirror nor the publisher is to be asked; name a mirror")
    if archive == "daymet":
        return published.daymet(first, last, variable, addresses)
    make = {"oisst_daily": published.oisst_daily, "oisst_yearly": published.oisst_yearly}[archive]
    return make(first, last, addresses)


def with_checksums(items: Sequence[Item], archive: str, variable: str, policy: Policy | None = None) -> list[Item]:
    """DayMet's items with the sizes and checksums that NASA's catalogue publishes; others publish none: as they are.

    Where the catalogue does not answer, as they are with a warning: each file is then read whole instead.
    """
    if archive != "daymet":
        return list(items)
    address = earthdata.catalogue_query(variable)
    with closing(Client(policy or POLICY, Login())) as client:
        try:
            known = earthdata.listed(client.json(address))
        except (Refused, Interrupted, ArtifactError) as error:
            LOG.warning("%s: %s; sizes and checksums are not compared", earthdata.CATALOGUE, error)
            return list(items)
    return [_with_published(item, known) for item in items]


def check_space(items: Iterable[Item], folder: Path) -> None:
    """ArtifactError where the disk has less space than the missing items need, by published or usual sizes."""
    missing = [item for item in items if _here(item, folder) is None]
    needed = sum((item.size or item.bytes_about) - _come(item, folder) for item in missing)
    free = shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free
    if needed > free:
        raise ArtifactError(
            f"{folder} has {free / 1e9:.1f} GB free, but {len(missing)} files need about {needed / 1e9:.1f} GB; "
            "free disk space, choose another folder, or fewer days"
        )


def summary(items: Sequence[Item], folder: Path) -> str:
    """What is needed, what of it is here and what is missing or does not fit, in a line each, for the user."""
    wanted = [(item, fault) for item in items if (fault := _fault(item, folder)) is not None]
    size = sum(item.size or item.bytes_about for item, _ in wanted)
    lines = [f"{len(items)} files needed, {len(items) - len(wanted)} in {folder}, about {size / 1e9:.2f} GB to come"]
    return "\n".join(lines + [item.addresses[0] + (f" ({fault})" if fault else "") for item, fault in wanted])


def _fault(item: Item, folder: Path) -> str | None:
    """Why a file must come: it is not here (nothing to say), or what does not fit; None where it need not."""
    found = _here(item, folder)
    if found is None:
        return ""
    try:
        records.check_start(*found)
    except ArtifactError as error:
        return str(error)
    return None


def _warn_of_login(items: Sequence[Item], login: Login) -> None:
    closed = {address for item in items for address in item.addresses if login.needed(address)}
    if closed and not login.available():
        LOG.warning("%d addresses are left out, since they need a login: %s", len(closed), earthdata.REMEDY)


def _with_published(item: Item, known: Mapping[str, Any]) -> Item:
    size, checksum = known.get(item.name, (None, None))
    return replace(item, size=size, checksum=checksum)


def _at_hand(items: Sequence[Item], folder: Path, verify: bool) -> list[Path]:
    """The files of all items; ArtifactError tells which are missing and which do not fit."""
    paths, missing, unfit = [], [], []
    for item in items:
        found = _here(item, folder)
        if found is None:
            missing.append(f"{item.name} ({item.addresses[0]})")
            continue
        try:
            records.checked(*found, verify)
        except ArtifactError as error:
            unfit.append(str(error))
        paths.append(found[1])
    if missing or unfit:
        told = [f"{len(missing)} of {len(items)} files are not in {folder}: {_some(missing)}"] if missing else []
        told += [f"{len(unfit)} of {len(items)} files are there, but do not fit: {_some(unfit)}"] if unfit else []
        raise ArtifactError(
            f"no server is asked (offline), and {'; '.join(told)}; get them on a machine with a network, by the same "
            "command or by hand, and copy them there"
        )
    return paths


def _here(item: Item, folder: Path) -> tuple[Item, Path] | None:
    """The file, or the preliminary one that stands in for it."""
    path = folder / item.name
    if path.is_file():
        return item, path
    return _here(item.stand_in, folder) if item.stand_in is not None else None


def _come(item: Item, folder: Path) -> int:
    return max((part.stat().st_size for part in folder.glob(f".{item.name}.*.part")), default=0)


def _all(client: Client, items: Sequence[Item], folder: Path, verify: bool) -> list[Path]:
    report = progress.Progress("download", len(items))
    had: dict[int, Had] = {}
    failures: list[Failure] = []
    in_a_row = 0
    with closing(_finished(client, items, lambda item: _provide(client, item, folder, verify), report)) as outcomes:
        for number, outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
                in_a_row += 1
            else:
                had[number] = outcome
                in_a_row = 0
            if in_a_row >= FAILURES_IN_A_ROW:
                break
    if failures:
        raise ArtifactError(_told(failures, len(had), len(items)))
    return [had[number].path for number in range(len(items))]


def _finished(
    client: Client, items: Sequence[Item], provide: Callable[[Item], Had], report: progress.Progress
) -> Generator[tuple[int, Had | Failure], None, None]:
    """Outcomes as they come. Left early, or on another error, it ends what is under way."""
    ended: queue.SimpleQueue[tuple[int, Future[Had]]] = queue.SimpleQueue()
    meter = _Meter(client, report)
    with _threads(client) as pool:
        for number, item in enumerate(items):
            pool.submit(provide, item).add_done_callback(partial(_tell, ended, number))
        for _ in items:
            number, future = meter.wait(ended)
            try:
                outcome: Had | Failure = future.result()
            except Failure as failure:
                outcome = failure
            meter.step(items[number], outcome)
            yield number, outcome


def _tell(ended: queue.SimpleQueue[tuple[int, Future[Had]]], number: int, future: Future[Had]) -> None:
    ended.put((number, future))


@contextmanager
def _threads(client: Client) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(client.policy.connections, "download")
    try:
        yield pool
    finally:
        client.stop.set()
        pool.shutdown(cancel_futures=True)


class _Meter:
    """Tells of finished files, not more than one line in two seconds, and of bytes while large ones come."""

    def __init__(self, client: Client, report: progress.Progress) -> None:
        self.client, self.report = client, report
        self.started = self.shown = time.monotonic()

    def wait(self, ended: queue.SimpleQueue[tuple[int, Future[Had]]]) -> tuple[int, Future[Had]]:
        while True:
            try:
                return ended.get(timeout=REPORT_S)
            except queue.Empty:
                received = self.client.bytes_received
                speed = received / (time.monotonic() - self.started)
                self.report.note(f"{received / 1e9:.2f} GB received, {speed / 1e6:.1f} MB/s")

    def step(self, item: Item, outcome: Had | Failure) -> None:
        now = time.monotonic()
        last = self.report.done + 1 == self.report.total
        shown = isinstance(outcome, Failure) or last or now - self.shown > 2
        self.shown = now if shown else self.shown
        if isinstance(outcome, Failure):
            self.report.step(f"{item.name} failed: {outcome}", shown=shown)
        else:
            text = f"{outcome.path.name} {outcome.size / 1e6:.1f} MB"
            self.report.step(text, kept=outcome.kept, shown=shown)


def _provide(client: Client, item: Item, folder: Path, verify: bool) -> Had:
    """The item, from the folder or from its addresses; Failure where neither gives it."""
    output = folder / item.name
    record = records.kept(item, output, verify)
    if record is not None and not item.growing:
        return Had(output, True, record["bytes"])
    try:
        record = _download(client, item, folder, record)
    except _NotPublished:
        if item.stand_in is None:
            raise
        return _provide(client, item.stand_in, folder, verify)
    except Unchanged:
        return Had(output, True, output.stat().st_size)
    if item.stand_in is not None:
        records.remove(folder / item.stand_in.name)
    return Had(output, False, record["bytes"])


class _NotPublished(Failure):
    """All addresses say that there is no such file."""


def _download(client: Client, item: Item, folder: Path, newer_than: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask one address after the other; returns the record that was written."""
    output = folder / item.name
    said: dict[str, Exception] = {}
    for address in item.addresses:
        same = newer_than is not None and newer_than.get("origin") == address
        try:
            received = client.fetch(item, address, output, newer_than if same else None)
        except (Refused, Interrupted, Damaged) as fault:
            LOG.info("%s: %s", address, fault)
            said[address] = fault
        else:
            return records.write(output, address, received)
    failure = "; ".join(f"{address}: {fault}" for address, fault in said.items())
    absent = all(isinstance(fault, Refused) and fault.status in transfer.ABSENT for fault in said.values())
    raise (_NotPublished if absent else Failure)(failure)


def _make(folder: Path) -> None:
    artifacts.check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _by_hand(local: str) -> str:
    return (
        f"try again later, or get the file from that address on a machine with a network, "
        f"store it as ${DATA_FOLDER}/{local} and {SET_FOLDER}"
    )


def _told(failures: Sequence[Failure], had: int, total: int) -> str:
    gave_up = had + len(failures) < total
    return (
        f"{len(failures)} of {total} files could not be downloaded, {had} are here"
        f"{f' (given up after {FAILURES_IN_A_ROW} failures in a row)' if gave_up else ''}: "
        f"{_some([str(failure) for failure in failures])}; rerun to go on where it ended"
    )


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - SHOWN
    return "; ".join(texts[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
