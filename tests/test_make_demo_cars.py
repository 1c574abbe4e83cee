"""The script of the demo cars: the same files whatever the count and the processes, and it goes on where it stopped."""

import json

import pytest
from facts import naming, says

from dataprocessing.make_demo_cars import main
from demo_cars.car import build_car, to_obj
from lab.small.helpers import contents
from runtime.errors import UserError
from runtime.layout import DEMO_PARAMETERS


@pytest.fixture
def arguments(tmp_path):
    config = tmp_path / "cars.txt"
    config.write_text(f"exp_name = t\ndata_dir = {tmp_path}/data\nsplit_file = {tmp_path}/split.npz\n")
    return ["--config", str(config), "--demo_seed", "4"]


def test_script_writes_the_same_cars_whatever_the_count_and_the_processes(arguments, tmp_path, capsys):
    assert main([*arguments, "--num_demo_cars", "3", "--num_cpus", "1"]) == 0
    few = contents(tmp_path / "data")
    assert len(few) == 6
    assert main([*arguments, "--num_demo_cars", "5", "--num_cpus", "2", "--data_dir", f"{tmp_path}/more"]) == 0
    more = contents(tmp_path / "more")
    assert len(more) == 10
    assert few.items() <= more.items()
    name = "demo_s4_00002/models"
    parameters = json.loads(few[f"{name}/{DEMO_PARAMETERS}"])
    assert len(parameters) >= 30
    obj = few[f"{name}/model_normalized.obj"].decode()
    assert obj.split("\n", 1)[1] == to_obj(build_car(parameters), "").split("\n", 1)[1]
    assert obj.count("\ng ") > 30


def test_script_goes_on_where_it_stopped(arguments, tmp_path, capsys):
    arguments = [*arguments, "--num_demo_cars", "2", "--num_cpus", "1"]
    main(arguments)
    meshes = sorted((tmp_path / "data").rglob("*.obj"))
    before = meshes[0].stat().st_mtime_ns
    text = meshes[1].read_bytes()
    meshes[1].unlink()
    capsys.readouterr()
    main(arguments)
    assert says(capsys.readouterr().out, "1 2 demo cars")
    assert meshes[0].stat().st_mtime_ns == before
    assert meshes[1].read_bytes() == text


def test_negative_seed_is_refused(arguments):
    with pytest.raises(UserError, match=naming("demo_seed -1 0")):
        main([*arguments, "--demo_seed", "-1"])
