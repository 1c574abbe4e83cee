"""What differs between a training and what is wanted of it: refused, told, or its best value starts anew."""

from pathlib import Path

import pytest

from configs.decided import deciding
from configs.options import Config
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL
from runtime.artefacts import plain
from runtime.errors import UserError
from training.same_training import NO_EXTRAS, TrainingFacts, facts_of_codes, idle, num_among, shape_changes

# Another value of every option that counts. `FULL` makes nearly all of them count.
OTHERS = {
    "sample_std_dev": [0.08, 0.004], "num_points": 54, "input_res": 10, "bb_min": -0.6, "bb_max": 0.6,
    "code_kind": "grid", "latent_dim": 6, "input_features": "offsets", "input_fold": 3, "encoder_channels": [4, 4],
    "hidden_dim": 9, "distance_head": "sheet", "decoder_hidden": 8, "decoder_resolution": [4, 8],
    "decoder_channels": [4, 4], "plane_resolution": [], "plane_channels": [4],
    "num_places": 7, "code_encoder": "pca", "pca_dims": 2, "pca_resolution": 5, "pca_view_weight": 1.0,
    "optimizer": "Muon", "out_resolution": 3,
    "seed": 1, "sample_ratio": [0.5, 0.5], "uniform_ratio": 0.1, "gap_ratio": 0.1, "max_dist": 0.2,
    "precision": "float32", "code_noise": 0.2, "batch_size": 3, "warmup_steps": 2, "num_epochs": 3,
    "num_sample_points_training": 68, "min_input_points": 5, "num_hard_points": 4, "hard_point_candidates": 3,
    "lr": 0.02, "mirror": False, "val_every": 4, "turns": True, "tilt_deg": 9.0, "least_scale": 0.9,
    "usual_input_points": 20, "input_noise_sd": 0.01,
    "flow_couplings": 3, "flow_hidden": 9, "flow_blocks": 3, "flow_dims": 3, "flow_tail_couplings": 2,
    "flow_scales": 3, "flow_s_max": 2.0, "flow_base": "normal", "flow_components": 3, "flow_dropout": 0.1,
    "flow_noise": 0.2, "flow_steps": 9, "flow_batch_size": 3, "flow_lr": 0.1, "flow_ema": 0.9,
    "flow_val_every": 3, "flow_patience": 3, "num_boundary_samples": 302, "num_uniform_samples": 102,
    "num_gap_samples": 72, "num_sharp_samples": 31, "sharp_ratio": 0.1,
}  # fmt: skip
FULL = SMALL | {"code_encoder": "both", "pca_dims": 1, "flow_base": "mixture"}
IDLE = {"out_resolution", "flow_scales"}  # with `FULL`
SPHERES = {"train": {"a": "01", "b": "02"}, "val": {"c": "03"}, "test": {"d": "04"}}
ARTEFACTS = ("ndf", "ndf_best", "ndf_course", "flow", "flow_best", "flow_course")


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return read_config(tmp_path_factory.mktemp("config"), **FULL)


def with_others(cfg: Config, **others: object) -> Config:
    return cfg.changed(**others)


def made_of(**options: object) -> dict:
    """Of the codes of a flow."""
    own = {"input_res": 9, **options}
    facts = {part: {"ndf_sha256": "f" * 64, "options": own, "shapes": SPHERES[part]} for part in SPHERES}
    return plain(facts | {"extra": NO_EXTRAS})


def state_of(wanted: TrainingFacts) -> dict:
    """Of a checkpoint of that training."""
    return {"config": wanted.cfg.values(), "ndf_sha256": "f" * 64, **plain(wanted.entries())}


def wanted_of(kind: str, cfg: Config) -> TrainingFacts:
    return TrainingFacts("ndf", cfg, SPHERES) if kind == "ndf" else facts_of_codes(cfg, made_of())


@pytest.mark.parametrize(
    ("artefact", "option"), [(artefact, option) for artefact in ARTEFACTS for option in deciding(artefact)]
)
def test_each_option_that_decides_a_training_has_its_verdict(cfg: Config, artefact: str, option: str):
    kind, _, what = artefact.partition("_")
    state, path = state_of(wanted_of(kind, cfg)), Path("checkpoints")
    assert not any(wanted_of(kind, cfg).differences(state, path))
    other = with_others(cfg, **{option: OTHERS[option]})
    assert cfg.value(option) != OTHERS[option]
    wanted = wanted_of(kind, other)
    if option in IDLE:
        assert not any(wanted.differences(state, path))
    elif not what:
        with pytest.raises(UserError, match=option):
            wanted.differences(state, path)
    else:
        found = wanted.differences(state, path)._asdict()
        assert option in found.pop(what) and not any(found.values())


@pytest.mark.parametrize(
    ("own", "without", "with_effect"),
    [
        ({"code_kind": "none"}, {"latent_dim", "code_noise", "code_encoder", "pca_dims", "out_resolution"}, {"lr"}),
        ({"code_kind": "fused"}, {"code_noise", "flow_dims", "decoder_hidden"}, {"out_resolution", "flow_scales"}),
        ({"code_kind": "grid"}, {"flow_dims", "plane_channels"}, {"code_noise", "latent_dim", "input_res"}),
        ({"num_hard_points": 0}, {"hard_point_candidates"}, {"num_hard_points"}),
        ({"code_encoder": "pca"}, {"pca_dims"}, {"pca_resolution", "pca_view_weight"}),
        ({"flow_base": "normal"}, {"flow_components"}, {"flow_base"}),
    ],
)
def test_options_of_another_kind_do_not_count(cfg: Config, own: dict, without: set, with_effect: set):
    found = idle(with_others(cfg, **own).values())
    assert without <= found and not with_effect & found


def test_other_training_shapes_are_refused_other_validation_shapes_start_the_best_anew(cfg: Config):
    state, path = state_of(TrainingFacts("ndf", cfg, SPHERES)), Path("checkpoints")

    def compared(**parts: dict) -> tuple[str, str]:
        return TrainingFacts("ndf", cfg, SPHERES | parts).differences(state, path)

    with pytest.raises(UserError, match=r"training shapes: 1 gone, 1 new, 1 test shapes now"):
        compared(train={"a": "01", "d": "04"}, test={"b": "02"})
    with pytest.raises(UserError, match=r"training shapes: 1 changed"):
        compared(train={"a": "01", "b": "99"})
    assert compared(val={"x": "05"}) == ("validation shapes: 1 gone, 1 new", "")
    assert not any(compared(test={"x": "05", "y": "06"}))
    assert not any(compared(train=dict(reversed(SPHERES["train"].items()))))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"train": {"options": {"code_draws": 3}}}, "code_draws 1 -> 3"),
        ({"extra": {"options": {"extra_demo_cars": 2}, "extra_meshes": 0}}, "extra_demo_cars 0 -> 2"),
        ({"extra": {"extra_meshes": 1, "shapes": {"m": "07"}}}, "extra_meshes 0 -> 1"),
        ({"train": {"scaled_meshes": "e" * 64}}, "scaled_meshes changed"),
        ({"train": {"ndf_sha256": "0" * 64}}, "another NDF"),
        ({"train": {"shapes": {"a": "01"}}}, "training shapes: 1 gone"),
    ],
)
def test_a_flow_of_other_codes_is_refused(cfg: Config, change: dict, reason: str):
    before = made_of(code_draws=1)
    before["train"]["scaled_meshes"] = "d" * 64
    state = state_of(facts_of_codes(cfg, before))
    after = {part: facts | change.get(part, {}) for part, facts in before.items()}
    with pytest.raises(UserError, match=reason):
        facts_of_codes(cfg, after).differences(state, Path("checkpoints"))


def test_test_codes_do_not_matter_to_a_flow_and_validation_codes_start_its_best_anew(cfg: Config):
    state, after = state_of(facts_of_codes(cfg, made_of())), made_of()
    after["test"]["shapes"] = {"e": "08"}
    assert not any(facts_of_codes(cfg, after).differences(state, Path("checkpoints")))
    after["val"]["shapes"] = {"c": "09"}
    assert facts_of_codes(cfg, after).differences(state, Path("checkpoints")) == ("validation shapes: 1 changed", "")


def test_what_an_old_checkpoint_does_not_tell_is_no_difference(cfg: Config):
    path = Path("checkpoints")
    assert not any(TrainingFacts("ndf", cfg, SPHERES).differences({}, path))
    config = cfg.values()
    old = {"config": {name: config[name] for name in ("lr", "input_res", "code_draws")}, "ndf_sha256": "f" * 64}
    assert not any(facts_of_codes(cfg, made_of()).differences(old, path))
    with pytest.raises(UserError, match="code_draws 1 -> 3"):  # its configuration tells
        facts_of_codes(cfg, made_of(code_draws=3)).differences(old, path)


@pytest.mark.parametrize(
    "entry", [{"shapes": {"train": 5}}, {"codes": {"train": {"options": 5}}}, {"codes": {"train": 5}}]
)
def test_a_damaged_record_is_told_in_one_line(cfg: Config, entry: dict):
    wanted = facts_of_codes(cfg, made_of())
    with pytest.raises(UserError):
        wanted.differences(state_of(wanted) | entry, Path("checkpoints"))


def test_shapes_are_counted_in_words():
    assert shape_changes("shapes", {"a": "1"}, {"a": "1"}) == ""
    assert shape_changes("shapes", {"a": "1"}, {}, {"other": "1"}) == "shapes: 1 gone, 1 test shapes now"
    assert num_among({"a": "1", "b": "2", "c": "3"}, {"a": "9", "x": "2"}) == 2
