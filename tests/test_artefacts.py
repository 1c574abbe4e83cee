"""The layer that says what is up to date: facts, sentences, whose files are whose, and killed runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from facts import naming

from configs.decided import ARTEFACTS, deciding
from configs.options import declared
from runtime.artefacts import NOT_THERE, RECORDS, Records, array_sha256, digest, file_sha256, kept_arrays, why
from runtime.errors import UserError


def made(folder: Path, name: str = "a.txt", text: str = "one") -> None:
    (folder / name).write_text(text)


def test_what_differs_is_said_in_words():
    of = {"num_points": 1000, "shapes": {"car1": "a" * 16, "car2": "b" * 16}, "ndf_sha256": "c" * 64}
    assert why(None, of) == NOT_THERE
    assert why(of, dict(reversed(of.items()))) == ""
    assert why(of, of | {"num_points": 600}) == "num_points 1000 -> 600"
    assert why(of, of | {"ndf_sha256": "d" * 64}) == "ndf_sha256 changed"
    assert why(of, of | {"shapes": {"car1": "a" * 16}}) == f'car2 "{"b" * 16}" -> null'
    many = {str(n): n for n in range(9)}
    assert why(many, dict.fromkeys(many, -1)).endswith("6 more")
    assert why({"sizes": [1, 2]}, {"sizes": (1, 2)}) == ""


def test_every_artefact_is_made_of_artefacts_and_every_option_decides_some_that_exist():
    assert {one for of in ARTEFACTS.values() for one in of} <= ARTEFACTS.keys()
    unknown = {name: set(decided) - ARTEFACTS.keys() for name, decided in declared().items()}
    assert not {name: found for name, found in unknown.items() if found}
    assert "num_points" in deciding("input") and "flow_noise" in deciding("flow")
    with pytest.raises(KeyError):
        deciding("nothing")


def test_digests_are_of_the_content_alone(tmp_path: Path):
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert array_sha256(numbers) == array_sha256(numbers.copy(order="F"))
    assert len({array_sha256(one) for one in (numbers, numbers.T, numbers.astype(np.float64), numbers + 1)}) == 4
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x" * 3_000_000)
    assert file_sha256(tmp_path / "one") == file_sha256(tmp_path / "two")


def test_an_artefact_is_made_once_and_again_where_a_fact_or_a_file_is_another(tmp_path: Path):
    def run(of: dict, text: str = "one") -> str:
        return Records(tmp_path).make("cloud", of, ["a.txt"], lambda: made(tmp_path, text=text))

    assert run({"seed": 0}) == NOT_THERE
    assert run({"seed": 0}) == ""
    assert run({"seed": 1}, "two") == "seed 0 -> 1"
    assert (tmp_path / "a.txt").read_text() == "two"
    (tmp_path / "a.txt").unlink()
    assert run({"seed": 1}) == "a.txt is gone"
    (tmp_path / RECORDS).write_text("{")
    with pytest.raises(UserError, match=naming("a.txt --out")):
        run({"seed": 1})


def test_found_is_kept_and_files_that_were_not_written_are_not_listed(tmp_path: Path):
    records = Records(tmp_path)
    records.make("mesh", {}, ["a.txt", "b.txt"], lambda: (made(tmp_path), {"faces": 3})[1])
    again = Records(tmp_path)
    assert again.found("mesh") == {"faces": 3} and again.files() == {"a.txt"} and again.why("mesh", {}) == ""


def test_what_a_killed_run_left_is_ours_and_made_again(tmp_path: Path):
    def killed() -> None:
        made(tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Records(tmp_path).make("cloud", {"seed": 0}, ["a.txt"], killed)
    assert Records(tmp_path).why("cloud", {"seed": 0}) == NOT_THERE
    assert Records(tmp_path).make("cloud", {"seed": 0}, ["a.txt"], lambda: made(tmp_path)) == NOT_THERE
    assert Records(tmp_path).why("cloud", {"seed": 0}) == ""


def test_files_of_users_are_neither_deleted_nor_overwritten(tmp_path: Path):
    made(tmp_path, "mine.txt")
    records = Records(tmp_path)
    records.make("cloud", {"seed": 0}, ["a.txt"], lambda: made(tmp_path))
    with pytest.raises(UserError, match=naming("mine.txt --out")):
        records.make("page", {}, ["mine.txt"], lambda: made(tmp_path, "mine.txt", "overwritten"))
    records.forget("cloud")
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORDS, "mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "one"


@pytest.mark.parametrize("content", ["", "[]", '{"cloud": 3}', '{"cloud": {"of": []}}', "\0", '{"cloud": {"of": {}}}'])
def test_a_damaged_record_is_none(tmp_path: Path, content: str):
    (tmp_path / RECORDS).write_text(content)
    assert Records(tmp_path).why("cloud", {}) == NOT_THERE


def test_records_hold_no_paths(tmp_path: Path):
    Records(tmp_path).make("cloud", {"seed": 0}, ["a.txt"], lambda: made(tmp_path))
    assert str(tmp_path) not in (tmp_path / RECORDS).read_text()


def test_arrays_are_kept_with_what_they_are_made_of(tmp_path: Path):
    path, calls = tmp_path / "kept.npz", []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"values": np.arange(5.0)}

    of = {"seed": 0, "sizes": (1, 2)}
    assert kept_arrays(path, of) is None
    for _ in range(2):
        assert np.array_equal(kept_arrays(path, of, make)["values"], np.arange(5.0))
    assert len(calls) == 1
    with np.load(path) as file:
        assert json.loads(str(file["index"])) == {"seed": 0, "sizes": [1, 2]}
    kept_arrays(path, of | {"seed": 1}, make)
    path.write_bytes(path.read_bytes()[:-30])
    kept_arrays(path, of | {"seed": 1}, make)
    assert len(calls) == 3
