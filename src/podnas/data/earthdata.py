"""NASA's Earthdata: who may have which credentials, and the sizes and checksums that its catalogue publishes.

Credentials come from ~/.netrc (machine urs.earthdata.nasa.gov) or, as a token, from the environment. They are looked up
for each request by its origin, so a redirect to another host carries none, and they enter no message, log or record.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from podnas.artifacts import ArtifactError
from podnas.data.published import Checksum

SERVER = "https://urs.earthdata.nasa.gov"
ARCHIVES = frozenset({"https://data.ornldaac.earthdata.nasa.gov"})
CATALOGUE = "https://cmr.earthdata.nasa.gov/search/granules.umm_json"
DAYMET_COLLECTION = "C2532426483-ORNL_CLOUD"  # Daymet_Daily_V4R1_2129
DAYMET_GRANULE = "Daymet_Daily_V4R1."
TOKEN = "EARTHDATA_TOKEN"
ALGORITHMS = {"SHA-256": "sha256", "SHA-512": "sha512", "MD5": "md5"}
REMEDY = (
    f"register at {SERVER}, then write `machine {urlsplit(SERVER).hostname} login NAME password PASSWORD` into "
    f"~/.netrc (chmod 600), or set {TOKEN} to a token from there; approve the archive's application in your profile if "
    f"it asks"
)


@dataclass(frozen=True)
class Login:
    """The origins (scheme://host[:port]) of the login server and of the archives that it opens."""

    server: str = SERVER
    archives: frozenset[str] = ARCHIVES

    def needed(self, address: str) -> bool:
        """Whether an address is one of an archive that asks for a login."""
        return origin(address) in self.archives

    def available(self) -> bool:
        """Whether there is a token, or an entry for the login server in ~/.netrc."""
        return bool(_token()) or self._password() is not None

    def authorise(self, request: requests.PreparedRequest) -> None:
        """Give a request the credentials of its origin, and take all others away."""
        request.headers.pop("Authorization", None)
        asked = origin(request.url or "")
        if asked in self.archives and (token := _token()):
            request.headers["Authorization"] = f"Bearer {token}"
        elif asked == self.server and (password := self._password()):
            HTTPBasicAuth(*password)(request)

    def _password(self) -> tuple[str, str] | None:
        path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
        if not path.is_file():
            return None
        try:
            # of this machine only: a `default` entry is for nobody in particular
            entry = netrc.netrc(path).hosts.get(urlsplit(self.server).hostname or "")
        except netrc.NetrcParseError as error:  # its message may quote a password
            raise ArtifactError(f"{path} cannot be read (line {error.lineno}); mend that line") from None
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read ({error.strerror}); make it readable for you") from None
        return (entry[0], entry[2]) if entry else None


class Session(requests.Session):
    """Requests whose credentials follow from the origin of each, redirected ones too."""

    def __init__(self, login: Login) -> None:
        super().__init__()
        self.login = login
        self.auth = _ByOrigin(login)  # set, so that requests itself does not look into ~/.netrc

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Called for each redirect."""
        self.login.authorise(prepared_request)


class _ByOrigin(AuthBase):
    def __init__(self, login: Login) -> None:
        self.login = login

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.login.authorise(request)
        return request


def _token() -> str:
    return os.environ.get(TOKEN, "").strip()


def origin(address: str) -> str:
    """scheme://host[:port] of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def catalogue_query(variable: str) -> str:
    """Address that lists the DayMet files of North America of one variable, with their sizes and checksums."""
    query = {
        "collection_concept_id": DAYMET_COLLECTION,
        "granule_ur": f"{DAYMET_GRANULE}daymet_v4_daily_na_{variable}_*",
        "options[granule_ur][pattern]": "true",
        "page_size": "200",
    }
    return f"{CATALOGUE}?{urlencode(query)}"


def listed(answer: Mapping[str, Any]) -> dict[str, tuple[int | None, Checksum | None]]:
    """Bytes and checksum by file name, from a catalogue's answer (UMM-G); ArtifactError where it is none."""
    try:
        return dict(_listed_one(item["umm"]) for item in answer["items"])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ArtifactError(f"the catalogue's answer has another form ({type(error).__name__}: {error})") from error


def _listed_one(granule: Mapping[str, Any]) -> tuple[str, tuple[int | None, Checksum | None]]:
    file = granule["DataGranule"]["ArchiveAndDistributionInformation"][0]
    published = file.get("Checksum") or {}
    algorithm = ALGORITHMS.get(published.get("Algorithm", ""))
    checksum = Checksum(algorithm, published["Value"].lower()) if algorithm else None
    size = file.get("SizeInBytes")
    return granule["GranuleUR"].removeprefix(DAYMET_GRANULE), (None if size is None else int(size), checksum)
