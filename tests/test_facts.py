"""What `naming` takes for a fact in a text, and what not."""

import re
from pathlib import Path

import pytest
from facts import naming, says


@pytest.mark.parametrize("facts", ["3 car1", "car1 3", "num_points 1.5", "--out 1.5", "[0,", "(2,", "a.ply", "ply"])
def test_facts_are_found_in_any_order(facts: str):
    assert says("error: 3 of car1:\n num_points is 1.5; [0, 1] or (2, 3) expected; give a.ply by another --out", facts)


@pytest.mark.parametrize("facts", ["2", "5", "num_points", "car", "12 25", "3", "7"])
def test_a_fact_stands_alone(facts: str):
    assert not says("12 of 2.5, car1 and num_points_dense 1,300 in /tmp/run-7/a", facts)


def test_whole_facts_and_patterns():
    assert says("no /a b/c", Path("/a b/c")) and not says("no /a b", Path("/a b/c"))
    assert re.search(naming(41, "a.npy[0]"), "x: a.npy[0] has 41")
    assert says("anything", "")
