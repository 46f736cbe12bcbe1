"""Where archive files come from: files at hand, the publisher's server (download.py), or the twin.

`plan` only looks at names, so a dry run knows the files; `provide_psl` and `fetch_year` put them there.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podnas import artifacts
from podnas.config import INDEX, SourceConfig
from podnas.data import records

LOG = logging.getLogger(__name__)

WEEKLY_FILES = ("sst.wkmean.1981-1989.nc", "sst.wkmean.1990-present.nc")
MASK_FILE = "lsmask.nc"
DAYMET_FILE = "daymet_v4_daily_na_{variable}_{year}.nc"
DATA_FOLDER = "PODNAS_DATA"
SET_FOLDER = f"set {DATA_FOLDER} to the folder that holds them (export {DATA_FOLDER}=/path/to/data)"
PSL_ADDRESS = "https://downloads.psl.noaa.gov/Datasets/noaa.oisst.v2"


@dataclass(frozen=True)
class Plan:
    """Paths of the files of the field and of their mask.

    `template`: path with {year} in it of the files that are downloaded or made year by year; None where none are.
    """

    files: tuple[str, ...]
    mask: str | None
    template: str | None = None


def data_folder() -> Path | None:
    """The folder of files at hand that the environment names, if it does."""
    folder = os.environ.get(DATA_FOLDER)
    return Path(folder) if folder else None


def plan(source: SourceConfig, folder: str) -> Plan:
    """Files that the field is made of; those that are made or downloaded will stand in `folder`.

    ValueError where files are neither at hand nor to be downloaded: names pattern, places and remedy.
    """
    if source.kind == INDEX:
        return Plan((), None)
    if source.kind == "daymet_twin":
        return _daymet_twin(source, folder)
    if source.kind != "path":
        return Plan(tuple(f"{folder}/{name}" for name in WEEKLY_FILES), f"{folder}/{MASK_FILE}")
    mask = None if source.mask is None else str(_resolve(source.mask, source)[0])
    if source.download_years is None:
        chosen = [path for pattern in source.files for path in _resolve(pattern, source)]
        return Plan(tuple(str(path) for path in dict.fromkeys(chosen)), mask)
    return _with_downloads(source, folder, source.download_years, mask)


def _daymet_twin(source: SourceConfig, folder: str) -> Plan:
    template = f"{folder}/{DAYMET_FILE.format(variable=source.variable, year='{year}')}"
    return Plan(tuple(template.format(year=year) for year in years_made(source)), None, template)


def years_made(source: SourceConfig) -> range:
    """Years of a DayMet twin."""
    if source.years is None:
        raise ValueError(f"source.kind {source.kind} has no source.years")
    return range(source.years[0], source.years[1] + 1)


def _with_downloads(source: SourceConfig, folder: str, years: tuple[int, int], mask: str | None) -> Plan:
    pattern = source.files[0]
    here = _found(pattern, source.exclude)
    names = {path.name for path in here}
    wanted = [Path(pattern).name.replace("*", str(year)) for year in range(years[0], years[1] + 1)]
    missing = [name for name in wanted if name not in names and name not in source.exclude]
    files = (*map(str, here), *(f"{folder}/{name}" for name in missing))
    return Plan(files, mask, f"{folder}/{Path(pattern).name.replace('*', '{year}')}" if missing else None)


def _resolve(pattern: str, source: SourceConfig) -> list[Path]:
    found = _found(pattern, source.exclude)
    if not found:
        places = f"the working directory {Path.cwd()} and in ${DATA_FOLDER} ({data_folder() or 'not set'})"
        published = f"they are published at {source.download}" if source.download else "no source.download tells where"
        raise ValueError(f"no file matches {pattern!r} (source) in {places}; {published}; get them and {SET_FOLDER}")
    return found


def _found(pattern: str, exclude: Sequence[str]) -> list[Path]:
    """Files that match, from the first place that holds any: the working directory, then the data folder."""
    relative = Path(pattern)
    places = [Path(), data_folder()]
    if relative.is_absolute():
        places, relative = [Path(relative.anchor)], relative.relative_to(relative.anchor)
    for place in filter(None, places):
        matches = sorted(place.glob(str(relative)))
        matches = [path for path in matches if path.is_file() and path.name not in exclude]
        if matches:
            return matches
    return []


def provide_psl(outputs: Sequence[Path], address: str = PSL_ADDRESS) -> None:
    """Put PSL's files at the paths `outputs`, by name: from the data folder if it has them, else downloaded."""
    from podnas.data import download  # with libraries that planning does not need

    for output in outputs:
        local = _found_in_data_folder(output.name)
        if local is None:
            download.fetch(f"{address}/{output.name}", output, output.name)
        else:
            _copy(local, output)


def _found_in_data_folder(name: str) -> Path | None:
    folder = data_folder()
    return folder / name if folder is not None and (folder / name).is_file() else None


def _copy(local: Path, output: Path) -> None:
    from podnas.data import files

    with files.opened(local, decode_times=False) as data:
        if data.attrs.get("data_kind") == "twin":
            raise ValueError(f"{local} is a synthetic twin; source.kind psl takes real files: move it away")
    with artifacts.replacing(output) as temporary:
        shutil.copyfile(local, temporary)
    LOG.info("copied %s from %s", output, local)
    records.write_copy(output, local)


def fetch_year(source: SourceConfig, year: int, output: Path) -> None:
    """Download one year of a region from the publisher's subset service."""
    from podnas.data import download

    local = Path(source.files[0].replace("*", str(year)))
    download.fetch(str(source.download).format(year=year), output, str(local))
