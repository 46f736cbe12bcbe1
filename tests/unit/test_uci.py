"""Sets of the tabular benchmark: at hand, downloaded from a local server, and put together from their text files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from podnas.artifacts import ArtifactError
from podnas.config import TabularConfig
from podnas.data import columns, download, uci
from podnas.data.transfer import Policy
from podnas.tabular import sets
from tests import publisher as faults
from tests import tables
from tests.adaptors import adaptor

ROOT = "/UCI_Datasets/yacht/data/"


def yacht() -> dict[str, np.ndarray]:
    """A made-up set of the published shape of yacht."""
    random = np.random.default_rng(3)
    test = np.zeros((20, 308), bool)
    for row in test:
        row[random.choice(308, 31, replace=False)] = True
    return {"X": random.normal(size=(308, 6)), "y": random.normal(size=308), "test": test}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(download, "POLICY", Policy(attempts=2, timeout_s=10, pause_s=0.01))
    monkeypatch.delenv("PODNAS_OFFLINE", raising=False)


@pytest.fixture
def server():
    with faults.serving() as running:
        running.files = {f"{ROOT}{name}": text for name, text in tables.texts(yacht()).items()}
        yield running


@pytest.fixture
def texts(tmp_path) -> Path:
    for name, text in tables.texts(yacht()).items():
        (tmp_path / name).write_bytes(text)
    return tmp_path


def fetch(server, folder: Path) -> None:
    uci.fetch("yacht", f"{server.address}/UCI_Datasets/", folder)


def test_a_set_is_looked_for_here_then_in_the_data_folder_then_downloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODNAS_DATA", str(tmp_path / "data"))
    asked = TabularConfig(sets=("waves", "boston"))
    there = tables.write(tmp_path / "data" / "uci")
    assert uci.plan(asked, "made") == ({"waves": str(there), "boston": "made/boston.npz"}, ("boston",))
    tables.write(tmp_path / "uci")
    assert uci.plan(asked, "made")[0]["waves"] == "uci/waves.npz"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"download": None}, r"set boston: no file uci/boston.npz .*tabular.download is null; set PODNAS_DATA .*UCI_D"),
        ({"sets": ("mine",)}, r"set mine: no file uci/mine.npz .*only boston, .* are downloaded; set PODNAS_DATA"),
    ],
)
def test_a_set_that_nobody_publishes_is_an_error(tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PODNAS_DATA", raising=False)
    with pytest.raises(ValueError, match=words):
        uci.plan(TabularConfig(**changes), "made")


def test_the_adaptor_makes_the_set_of_what_is_published(server, tmp_path):
    output = tmp_path / "yacht.npz"
    for _ in range(2):
        adaptor("tabular_download").main("yacht", f"{server.address}/UCI_Datasets", tmp_path / "texts", output)
        made, truth = sets.read(output), yacht()
        for found, expected in ((made.features, "X"), (made.target, "y"), (made.test, "test")):
            np.testing.assert_array_equal(found, truth[expected])
    # the second time nothing was asked for
    assert len(server.asked) == 44
    record = json.loads((tmp_path / "texts" / "data.txt.source.json").read_text())
    assert record["origin"] == f"{server.address}{ROOT}data.txt"
    assert record["verified"] == ["size", "text, every number"]


def test_a_cut_transfer_goes_on_where_it_was_cut(server, tmp_path):
    server.faults[f"{ROOT}data.txt"] = [faults.cut(5000)]
    fetch(server, tmp_path)
    assert [request.headers.get("Range") for request in server.of(f"{ROOT}data.txt")] == [None, "bytes=5000-"]
    assert (tmp_path / "data.txt").read_bytes() == server.files[f"{ROOT}data.txt"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.answer(b"<!DOCTYPE html><p>Sign in", Content_Type="text/html"), "it sent no text file but text/html"),
        (faults.answer(b"1 2\n3\n"), r"it sent no whole text file .* is truncated, or no text of numbers"),
        (faults.answer(b"1 nan\n"), "1 numbers that are not finite"),
        (faults.answer(b"\n\n"), "is empty"),
        (faults.status(404), "it answers 404"),
    ],
    ids=["page", "ragged", "nan", "empty", "absent"],
)
def test_what_is_no_text_of_numbers_is_refused(server, tmp_path, fault, words):
    server.always[f"{ROOT}index_test_7.txt"] = fault
    with pytest.raises(ArtifactError, match=words) as caught:
        fetch(server, tmp_path)
    assert "set yacht: 1 of 44 files" in str(caught.value)
    assert f"{ROOT}index_test_7.txt" in str(caught.value)
    assert "set PODNAS_DATA to the folder" in str(caught.value)
    assert not list(tmp_path.glob("*index_test_7*"))
    # all else is here: the next run asks for one file only
    server.always.clear()
    before = len(server.asked)
    fetch(server, tmp_path)
    assert len(server.asked) == before + 1


def test_offline_no_server_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PODNAS_OFFLINE", "1")
    with pytest.raises(
        ArtifactError, match=r"set yacht: no server is asked \(offline\), and 44 of 44 .*set PODNAS_DATA"
    ):
        fetch(server, tmp_path)
    assert not server.asked
    # text files that were brought here by other ways are taken
    for name, text in tables.texts(yacht()).items():
        (tmp_path / name).write_bytes(text)
    fetch(server, tmp_path)
    assert not server.asked


def test_splits_of_a_set_are_put_together(texts):
    made, truth = uci.assemble("yacht", texts), yacht()
    for key, values in truth.items():
        np.testing.assert_array_equal(made[key], values)
        assert made[key].dtype == values.dtype


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("data.txt", b"1 2 3\n" * 300, r"data.txt has 300 rows, but set yacht has 308"),
        ("index_features.txt", b"0\n1\n", r"index_features.txt has 2 indices, not 6"),
        ("index_features.txt", b"0 1 2 3 4 8\n", r"has 8, but indices are whole numbers from 0 to 7"),
        ("index_target.txt", b"3\n", r"index_target.txt has column 3, which is a feature"),
        ("n_splits.txt", b"5\n", r"n_splits.txt has \[5.0\], but set yacht has 20"),
        ("index_test_4.txt", b"308\n", r"index_test_4.txt has 308, but indices .* to 307"),
        ("index_test_4.txt", b"1.5\n", r"has 1.5, but"),
        ("index_test_4.txt", b"1\n1\n", r"index_test_4.txt has an index that stands there twice"),
        (
            "index_train_4.txt",
            tables.text(np.arange(300)),
            r"index_test_4.txt has \d+ rows .* in index_train_4.txt, too",
        ),
        ("index_train_4.txt", b"", r"index_train_4.txt is empty"),
    ],
)
def test_text_files_that_do_not_fit_are_named(texts, name, text, words):
    (texts / name).write_bytes(text)
    with pytest.raises(ArtifactError, match=words):
        uci.assemble("yacht", texts)


def test_a_cut_or_missing_index_is_named(texts):
    index = texts / "index_train_4.txt"
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:-3]))
    with pytest.raises(
        ArtifactError, match=r"index_test_4.txt has 31 rows and index_train_4.txt 274, together not the 308"
    ):
        uci.assemble("yacht", texts)
    index.unlink()
    with pytest.raises(ArtifactError, match=r"index_train_4.txt .*(not found|cannot be opened)"):
        uci.assemble("yacht", texts)


def test_a_file_of_text_may_begin_with_a_number_only():
    assert columns.begins(b"\n -1.5e3 2")
    assert not columns.begins(b"version https://git-lfs")
    assert not columns.begins(b"CDF\x01")


def real(name: str) -> dict[str, np.ndarray]:
    folder = os.environ.get("PODNAS_DATA")
    path = Path(folder or "", "uci", f"{name}.npz")
    if not folder or not path.is_file():
        pytest.skip("real data not found: set PODNAS_DATA")
    with np.load(path) as archive:
        return dict(archive)


@pytest.mark.parametrize("name", uci.SETS)
def test_the_real_sets_have_the_published_shapes(name):
    truth, known = real(name), uci.SETS[name]
    assert truth["X"].shape == (known.rows, known.features)
    assert truth["test"].shape == (known.splits, known.rows)


@pytest.mark.parametrize("name", ["boston", "concrete", "energy", "wine", "yacht"])
def test_the_real_sets_come_back_from_their_text_files(tmp_path, name):
    truth = real(name)
    for file, text in tables.texts(truth).items():
        (tmp_path / file).write_bytes(text)
    assert {file.name for file in tmp_path.iterdir()} == set(uci.SETS[name].files())
    made = uci.assemble(name, tmp_path)
    for key in ("X", "y", "test"):
        np.testing.assert_array_equal(made[key], truth[key])
