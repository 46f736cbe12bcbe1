"""Where archive files come from: files at hand, the publisher's server, or the twin.

`plan` only looks at names, so a dry run knows the files; `provide` and `fetch` put them there.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from podnas import artifacts
from podnas.artifacts import ArtifactError
from podnas.config import SourceConfig

LOG = logging.getLogger(__name__)

WEEKLY_FILES = ("sst.wkmean.1981-1989.nc", "sst.wkmean.1990-present.nc")
MASK_FILE = "lsmask.nc"
PSL_ADDRESS = "https://downloads.psl.noaa.gov/Datasets/noaa.oisst.v2"
DATA_FOLDER = "PODNAS_DATA"
TIMEOUT_SECONDS = 60
SET_FOLDER = f"set {DATA_FOLDER} to the folder that holds them (export {DATA_FOLDER}=/path/to/data)"


@dataclass(frozen=True)
class Plan:
    """Paths of the files of the field and of their mask.

    `template`: path with {year} in it of the files that are downloaded year by year; None where none are.
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
    if source.kind != "path":
        return Plan(tuple(f"{folder}/{name}" for name in WEEKLY_FILES), f"{folder}/{MASK_FILE}")
    mask = None if source.mask is None else str(_resolve(source.mask, source)[0])
    if source.download_years is None:
        chosen = [path for pattern in source.files for path in _resolve(pattern, source)]
        return Plan(tuple(str(path) for path in dict.fromkeys(chosen)), mask)
    return _with_downloads(source, folder, source.download_years, mask)


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
    for output in outputs:
        local = _found_in_data_folder(output.name)
        if local is None:
            fetch(f"{address}/{output.name}", output, output.name)
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
    _record(output, str(local))


def fetch_year(source: SourceConfig, year: int, output: Path) -> None:
    """Download one year of a region from the publisher's subset service."""
    local = Path(source.files[0].replace("*", str(year)))
    fetch(str(source.download).format(year=year), output, str(local))


def fetch(url: str, output: Path, local: str) -> None:
    """Download a netCDF file whole or not at all; its address, size and SHA-256 are written beside it as JSON.

    `local`: where in the data folder the file would be looked for, named in the error.

    ArtifactError where the server cannot be reached, refuses, cuts the transfer or sends something else.
    """
    import pooch
    import requests
    import urllib3

    from podnas.data import files

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS)
    with artifacts.replacing(output) as temporary:
        try:
            pooch.retrieve(url, None, temporary.name, temporary.parent, downloader=downloader)
            files.check(temporary)
            with files.opened(temporary, decode_times=False):
                pass
        except requests.ConnectionError as error:
            raise ArtifactError(f"{url}: no answer, or cut off ({_cause(error)}); {_by_hand(local)}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ArtifactError(f"{url} cannot be downloaded ({error}); {_by_hand(local)}") from error
        except ArtifactError as error:
            raise ArtifactError(f"{url} sent no whole netCDF file ({error}); {_by_hand(local)}") from error
    LOG.info("downloaded %s from %s", output, url)
    _record(output, url)


def _cause(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return type(getattr(reason, "reason", reason)).__name__


def _by_hand(local: str) -> str:
    return (
        f"try again later, or get the file from that address on a machine with a network, "
        f"store it as ${DATA_FOLDER}/{local} and {SET_FOLDER}"
    )


def _record(output: Path, origin: str) -> None:
    from podnas import provenance

    artifacts.write_json(
        output.with_name(output.name + ".source.json"),
        {
            "file": output.name,
            "origin": origin,
            "sha256": provenance.file_hash(output),
            "bytes": output.stat().st_size,
            "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
