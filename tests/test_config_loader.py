"""The one reader of options: files and command line, what is refused and how."""

import re
from pathlib import Path

import configargparse
import pytest
from facts import naming, says

from configs.config_loader import build_parser, config_as_text, get_config
from configs.options import READ_BY
from runtime.errors import UserError, run
from runtime.files import atomic_path, write_text
from runtime.layout import ROOT

CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.txt"))
THEIRS = """
exp_name = shapenet_cars
data_dir = datasets/shapenet/data/02958343
split_file = datasets/shapenet/data/split_shapenet_cars.npz
input_data_glob = /*/models/model_normalized.obj
sample_std_dev = [0.08, 0.02, 0.003]
sample_ratio = [0.01, 0.49, 0.5]
"""


def write(folder: Path, text: str) -> str:
    (folder / "theirs.txt").write_text(text)
    return str(folder / "theirs.txt")


def test_a_config_of_ndfs_users_loads_unchanged(tmp_path: Path):
    cfg = get_config(["--config", write(tmp_path, THEIRS)])
    assert cfg.sampling.sample_std_dev == (0.08, 0.02, 0.003)
    assert cfg.sampling.sample_ratio == (0.01, 0.49, 0.5)
    assert cfg.data.input_data_glob == "/*/models/model_normalized.obj"
    assert cfg.data.data_dir == "datasets/shapenet/data/02958343"


def test_the_command_line_wins_over_the_file(tmp_path: Path):
    cfg = get_config(["--config", write(tmp_path, THEIRS + "lr = 0.5\n"), "--lr", "0.25", "--sample_std_dev", "1"]
                     + ["--sample_ratio", "1"])  # fmt: skip
    assert (cfg.ndf_training.lr, cfg.sampling.sample_std_dev) == (0.25, (1.0,))


@pytest.mark.parametrize("name", CONFIGS)
def test_each_config_of_the_project_loads_from_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert get_config(["--config", f"configs/{name}"]).run.exp_name


def test_the_merged_config_gives_itself_again(tmp_path: Path):
    cfg = get_config(
        [
            "--config",
            write(tmp_path, THEIRS),
            "--code_mirror",
            "no",
            "--n_val",
            "3",
            "--tasks",
            "likelihood",
            "networks",
        ]
    )
    again = get_config(["--config", write(tmp_path, config_as_text(cfg))])
    assert {**again.values(), "config": None} == {**cfg.values(), "config": None}


WORDS = ["/d/cars #1", "a;b", "a ; b", '"q"', "'q'", "it's", " a ", "[x]", "[x, y] #2", 'a" #b', "true", "#x", "-x",
         "=", "k: v", '["a"]', "a\\b", ""]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_each_value_survives_a_config_file(tmp_path: Path, word: str):
    numbers = {"by": [-6e-05], "camera": [-1e-05, 0.0, 1e20], "code_mirror": False, "n_val": 3, "test_pattern": word}
    cfg = get_config(["--config", write(tmp_path, THEIRS)])
    cfg = cfg.changed(**numbers, data_dir=word, compare_experiments=["a, b", " c ", "#d", 'e" ;f', "[g]", "1"])
    again = get_config(["--config", write(tmp_path, config_as_text(cfg))])
    assert {**again.values(), "config": None} == {**cfg.values(), "config": None}


@pytest.mark.parametrize("word", ["a\nb", "a\u2028b"])
def test_a_value_that_no_line_can_give_is_told(tmp_path: Path, word: str):
    cfg = get_config(["--config", write(tmp_path, THEIRS)]).changed(data_dir=word)
    with pytest.raises(UserError, match="data_dir"):
        config_as_text(cfg)


STEPS = ["preprocess", "create_split", "train_ndf", "train_rnvp", "evaluate", "analyse_codes", "complete", "make_scan"]


@pytest.mark.parametrize("line", ["movie = gif", "attribute = length", "by = 1"])
def test_a_config_that_all_steps_share_may_hold_options_of_one_mode(tmp_path: Path, line: str):
    for script in STEPS:
        get_config(["--config", write(tmp_path, THEIRS + line)], script)


def test_on_the_command_line_of_another_mode_they_are_errors(tmp_path: Path):
    for words in (["--movie", "gif"], ["--attribute", "length"]):
        with pytest.raises(UserError, match=words[0]):
            get_config(["--config", write(tmp_path, THEIRS), *words], "generate")


@pytest.mark.parametrize("word", ["-1e-3", "-6e-05", "-1E+2", "-.5e1", "-5.e-1", "-7", "-1_000", "-0.25"])
@pytest.mark.parametrize(("option", "count"), [("by", 1), ("by", 2), ("camera", 3), ("bb_min", 1)])
def test_a_negative_number_is_a_value_in_every_form(word: str, option: str, count: int):
    values = vars(build_parser().parse_known_args([f"--{option}", *[word] * count])[0])[option]
    assert values == (float(word) if option == "bb_min" else [float(word)] * count)


@pytest.mark.parametrize("word", ["-inf", "-nan"])
def test_a_number_that_is_not_finite_is_told(word: str):
    with pytest.raises(UserError, match=naming("--by finite")):
        build_parser().parse_known_args(["--by", word])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bacth_size = 3", "'bacth_size' 'batch_size'"),
        ("batch_size = many", "batch_size int 'many'"),
        ("batch_size = 0", "batch_size 0"),
        ("mirror = perhaps", "mirror 'perhaps' true false"),
        ("code_kind = voxel", "code_kind 'voxel' 'vector'"),
        ("sample_ratio = [0.5, 0.5]", "sample_ratio 2 sample_std_dev 3"),
        ("sample_ratio = [0.5, 0.5, 0.5]", "sample_ratio [0.5, 0.5, 0.5] 1.5 1"),
        ("num_chunks = 2\ncurrent_chunk = 2", "current_chunk num_chunks 2"),
        ("bb_min = 0.5", "bb_max bb_min 0.5"),
        ("decoder_channels = [3, 4]", "decoder_resolution 1 decoder_channels 2"),
        ("n_val = 3\nr_val = 0.5", "n_val r_val"),
        ("published_split = a.npz\nn_test = 3", "published_split n_test a.npz"),
        ("uniform_ratio = 0.8", "uniform_ratio 0.8 gap_ratio 0.2"),
        ("sharp_ratio = 0.65\nnum_sharp_samples = 9", "uniform_ratio 0.15 gap_ratio 0.2 sharp_ratio 0.65"),
        ("sharp_ratio = 0.1", "sharp_ratio 0.1 num_sharp_samples 0 preprocess.py"),
        ("extra_demo_cars = 9\nextra_demo_seed = 3\ndemo_seed = 3", "extra_demo_seed 3 demo_seed"),
        ("mesh_resolution = 20", "mesh_resolution 20 48 512"),
        ("mesh_faces = 20", "mesh_faces 20 500"),
        ("thicken = 0.004", "thicken 0.004 0.0103 mesh_resolution"),
        ("thicken = 0.2", "thicken 0.2 0.08"),
        ("mesh_formats = dae", "mesh_formats 'dae' 'ply'"),
        ("mesh = perhaps", "mesh 'perhaps' true false"),
        ("fit_steps = -1", "fit_steps -1 0"),
        ("by = nan", "by nan"),
        ("by = 1\nto = 2", "--by --to"),
        ("mode = edit", "--mode edit --attribute"),
        ("flow_ema = 1", "flow_ema 1.0 [0, 1)"),
        ("num_cpus = 1000000", "num_cpus 1000000 1024"),
        ("num_cpus = -2", "num_cpus -2 -1"),
        ("num_shapes = 20000000", "num_shapes 20000000 1e+07"),
        ("num_demo_cars = 20000000", "num_demo_cars 20000000 1e+06"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, message: str):
    base = "\n".join(line for line in THEIRS.splitlines() if line.split(" ")[0] != text.split(" ")[0])
    with pytest.raises(UserError, match=naming(message)):
        get_config(["--config", write(tmp_path, f"{base}\n{text}\n")])


def test_missing_config_names_those_there_are():
    with pytest.raises(UserError, match=naming("nowhere.txt configs/demo_cars.txt")):
        get_config(["--config", "nowhere.txt"])


def test_only_a_script_that_allows_it_works_without_an_experiment():
    cfg = get_config(["--samples", "somewhere"], instead="samples")
    assert (cfg.clouds.samples, cfg.run.config, cfg.run.exp_name, cfg.data.data_dir) == ("somewhere", None, None, None)
    missing = naming("--config --exp_name --data_dir --split_file --help")
    for arguments, instead in ((["--samples", "somewhere"], None), ([], "samples"), (["--references", "x"], "samples")):
        with pytest.raises(UserError, match=missing):
            get_config(arguments, instead=instead)


@pytest.mark.parametrize("script", READ_BY)
def test_help_shows_the_options_of_its_script_alone(script: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        get_config(["--help"], script)
    text = capsys.readouterr().out
    parser = configargparse.ArgumentParser(add_config_file_help=False)
    for group in READ_BY[script]:
        group.add_to_parser(parser)
    shown = set(re.findall(r"^  (?:-\w[^,]*, |--own_meshes_out OUT, )?--(\w+)", text, flags=re.M))
    assert shown == {action.dest for action in parser._actions}
    titles = [text.index(f"\n{group.title}:") for group in READ_BY[script]]
    assert titles == sorted(titles)  # in order of use
    has_defaults = any(action.default not in (None, "==SUPPRESS==") for action in parser._actions)
    assert "None" not in text and ("default:" in text) == has_defaults


def test_the_options_of_all_scripts_are_known_to_each_and_a_misspelt_one_to_none():
    everything = {action.dest for action in build_parser()._actions}
    for script in READ_BY:
        assert {action.dest for action in build_parser(script)._actions} == everything
        with pytest.raises(UserError, match=naming("'flow_stepps' 'flow_steps'")):
            get_config(["--config", "configs/demo_cars.txt", "--flow_stepps", "3"], script)


def test_a_config_may_include_another_whose_lines_it_overrides(tmp_path: Path):
    (tmp_path / "base.txt").write_text(THEIRS + "lr = 0.5\nbatch_size = 7\n")
    path = write(tmp_path, "include = base.txt  # the data\nlr = 0.25\nsample_ratio = [0.5, 0.25, 0.25]\n")
    cfg = get_config(["--config", path])
    assert (cfg.run.exp_name, cfg.ndf_training.lr, cfg.training.batch_size, cfg.sampling.sample_ratio) == (
        "shapenet_cars",
        0.25,
        7,
        (0.5, 0.25, 0.25),
    )
    with pytest.raises(UserError, match="gone.txt"):
        get_config(["--config", write(tmp_path, "include = gone.txt")])
    with pytest.raises(UserError, match="theirs.txt"):
        get_config(["--config", write(tmp_path, "include = theirs.txt")])


def test_a_retired_option_may_keep_the_value_that_it_has_now(tmp_path: Path):
    for line in ("grad_clip = 1.0", "flow_weight_decay = 0.01"):
        get_config(["--config", write(tmp_path, THEIRS + line)])
    with pytest.raises(UserError, match=naming("grad_clip 1.0")):
        get_config(["--config", write(tmp_path, THEIRS + "grad_clip = 2")])


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "..", ".", ""])
def test_an_experiment_stays_in_its_folder(tmp_path: Path, name: str):
    for option in ("--exp_name", "--compare_experiments"):
        with pytest.raises(UserError, match=naming(repr(name), "--exp_root")):
            get_config(["--config", write(tmp_path, THEIRS), option, name])


def test_every_option_has_help_that_is_a_sentence():
    for action in build_parser()._actions:
        assert action.help and len(action.help) > 8, action.dest


def test_meshes_are_asked_for_by_the_bare_option_or_by_a_line(tmp_path: Path):
    base = ["--config", write(tmp_path, THEIRS)]
    assert not get_config(base).meshes.mesh
    assert get_config([*base, "--mesh"]).meshes.mesh
    assert get_config([*base, "--mesh", "--mode", "reconstruct"]).meshes.mesh
    assert not get_config([*base, "--mesh", "false"]).meshes.mesh
    cfg = get_config(["--config", write(tmp_path, THEIRS + "mesh = true\nmesh_formats = [obj, ply]\n")])
    assert cfg.meshes.mesh and cfg.meshes.mesh_formats == ("obj", "ply")


def test_a_plain_file_in_the_way_of_a_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "folder").write_text("")

    def main() -> int:
        write_text(tmp_path / "folder" / "0" / "a.txt", "")
        return 0

    status, text = status_of(main, capsys)
    assert status == 2 and says(text, "error:", tmp_path / "folder") and text.count("\n") == 1


def status_of(main, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        run(main)
    return stop.value.code, capsys.readouterr().err


def test_mistakes_and_full_disks_are_one_line_and_status_2(capsys: pytest.CaptureFixture):
    def mistake() -> int:
        raise UserError("found this,\n  expected that")

    def full_disk() -> int:
        raise OSError(28, "No space left on device", "some/file.npz")

    assert status_of(mistake, capsys) == (2, "error: found this, expected that\n")
    status, text = status_of(full_disk, capsys)
    assert status == 2
    assert says(text, "error: space some/file.npz")
    assert text.count("\n") == 1
    assert status_of(lambda: 0, capsys) == (0, "")


def test_other_errors_keep_their_traceback():
    def bug() -> int:
        raise OSError(9, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file descriptor"):
        run(bug)


def test_a_failed_write_leaves_the_old_file_and_no_spare(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_path(path) as spare:
        spare.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    with atomic_path(path) as spare:
        spare.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "new"
