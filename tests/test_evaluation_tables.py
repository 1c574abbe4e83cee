"""The tables as text, Markdown and csv, and spreads over sample sets in them."""

import csv
import io

import numpy as np
import pytest

from evaluation.tables import CSV_COLUMNS, Column, Table, long_csv, spread


def test_spread_is_mean_and_sample_deviation():
    found = spread([1.0, 2.0, 4.0])
    assert found == {"mean": pytest.approx(7 / 3), "sd": pytest.approx(np.std([1, 2, 4], ddof=1)), "values": [1, 2, 4]}
    assert spread([0.5]) == {"mean": 0.5, "sd": None, "values": [0.5]}


COLUMNS = [Column("set", "set"), Column("mmd", "MMD x1e4", ".2f", 1e4), Column("n", "n", "d")]
ROWS = [
    {"set": "flow", "mmd": spread([0.00123456789, 0.00123456989]), "n": 7, "distance": "cd", "reference": "a|b"},
    {"set": "a, b", "n": 12, "more": [1, 2]},
    {"set": "one", "mmd": spread([0.5]), "n": 1},
]


def test_tables_align_and_scale():
    assert Table("x", "Title", COLUMNS, ROWS, "note").text().splitlines() == [
        "Title",
        "set       MMD x1e4   n",
        "----  ------------  --",
        "flow  12.35 ± 0.00   7",
        "a, b             -  12",
        "one        5000.00   1",
        "note",
    ]


def test_markdown_is_a_table_with_its_title_and_note():
    columns = [Column("reference", "against"), *COLUMNS[1:]]
    assert Table("x", "Title", columns, ROWS[:1], "note").markdown().splitlines() == [
        "**Title**",
        "",
        "| against | MMD x1e4 | n |",
        "| --- | ---: | ---: |",
        "| a\\|b | 12.35 ± 0.00 | 7 |",
        "",
        "note",
    ]


def test_csv_has_a_row_for_each_number_with_every_digit():
    rows = list(csv.DictReader(io.StringIO(long_csv([Table("x", "Title", COLUMNS, ROWS)]))))
    assert tuple(rows[0]) == CSV_COLUMNS
    mine = [r for r in rows if r["set"] == "flow" and r["measure"] == "mmd"]
    assert [r["statistic"] for r in mine] == ["mean", "sd", "set 0", "set 1"]
    assert mine[2] == {"table": "x", "set": "flow", "reference": "a|b", "distance": "cd", "item": "", "measure": "mmd",
                       "statistic": "set 0", "value": "0.00123456789"}  # fmt: skip
    assert [r["value"] for r in rows if r["measure"] == "n"] == ["7", "12", "1"]
    assert [r["value"] for r in rows if r["set"] == "one" and r["statistic"] == "sd"] == [""]
    assert not [r for r in rows if r["measure"] == "more"]


def test_a_row_of_networks_is_named_by_its_measure():
    table = Table("networks", "N", [], [{"measure": "loss", "value": 0.25, "unit": "nats"}])
    (row,) = table.long_rows()
    assert (row["item"], row["measure"], row["value"]) == ("loss", "value", 0.25)
