"""Codes off the training data: which are recognised, where they end, what is told, and that all others stay."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import says
from scipy.stats import chi2
from torch import Tensor
from torch.testing import assert_close

import evaluate
import generate
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from frozen.checkpoint_files import load_checkpoint
from generation.cloud_files import read_cloud
from generation.decode import decode
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes, applies, as_plain, brought_back_sentence, largest_norm
from generation.reconstructions import reconstructed
from lab.small.tiny_experiment import best_flow, best_ndf, save_random_ndf, tiny_config, tiny_networks, train_flow
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD
from training.checkpoints import write_state

pytestmark = pytest.mark.usefixtures("coarse_lattice", "no_pictures", "few_candidates")


def good_codes(networks: Networks) -> Tensor:
    return torch.from_numpy(np.load(networks.experiment.codes / "train.npy")[:3])


def plausible(networks: Networks, codes: Tensor) -> PlausibleCodes:
    """Codes (S, 5), each with the input points of a training shape."""
    folders = split_folders(networks.cfg)["train"]
    names = [f"shape{n}" for n in range(len(codes))]
    return PlausibleCodes(networks, names, codes.split(1), lambda n: read_input_cloud(folders[n], networks.cfg))


def norms(networks: Networks, codes: PlausibleCodes) -> Tensor:
    with torch.no_grad():
        return torch.stack([networks.flow(code)[0].norm() for code in codes])


def test_codes_on_the_data_stay_bit_for_bit(networks: Networks):
    good = good_codes(networks)
    codes = plausible(networks, good)
    assert len(codes) == 3
    assert torch.equal(torch.cat(list(codes)), good)
    assert codes[1].data_ptr() == codes.codes[1].data_ptr()
    assert codes.brought_back == {}


@pytest.mark.parametrize("fit_steps", [0, 8])
def test_an_absurd_code_gets_back_into_the_radius_and_decodes(root: Path, fit_steps: int):
    networks = tiny_networks(root, fit_steps=fit_steps)
    good = good_codes(networks)
    absurd = torch.cat([good[:1], 1e3 * good[1:]])
    codes = plausible(networks, absurd)
    assert norms(networks, plausible(networks, absurd)).max() < codes.radius * (1 + 1e-4)
    assert torch.equal(codes[0], good[:1])
    assert decode(networks, codes[2], 70, 2).shape == (70, 3)
    assert list(codes.brought_back) == ["shape2"]  # of those accessed
    facts = codes.brought_back["shape2"]
    with torch.no_grad():
        z, _ = networks.flow(absurd[2:])
    assert facts["z_norm"] == pytest.approx(z.norm().item()) and facts["z_norm"] > 100 * codes.radius
    assert 0 < facts["error_after"] < 0.1 and facts["error_before"] > 0  # of random weights, shorter may fit worse
    if not fit_steps:
        back, _ = networks.flow(codes[2])
        assert_close(back / back.norm(), z / z.norm(), atol=1e-3, rtol=1e-3)


def test_more_steps_fit_better(root: Path):
    absurd = 5 * good_codes(tiny_networks(root))
    errors = []
    for fit_steps in (0, 3, 30):
        codes = plausible(tiny_networks(root, fit_steps=fit_steps), absurd)
        list(codes)
        errors.append(np.mean([facts["error_after"] for facts in codes.brought_back.values()]))
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("fit_steps", [0, 2])
def test_codes_that_are_not_finite_are_replaced(root: Path, bad: float, fit_steps: int):
    networks = tiny_networks(root, fit_steps=fit_steps)
    broken = good_codes(networks)
    broken[1, 2] = bad
    codes = plausible(networks, broken)
    assert torch.isfinite(codes[1]).all()
    assert norms(networks, codes).max() < codes.radius * (1 + 1e-4)
    facts = as_plain(codes.brought_back["shape1"])
    assert facts["z_norm"] is None and facts["error_after"] > 0
    json.dumps(facts, allow_nan=False)


def test_a_seed_fixes_the_codes(root: Path):
    absurd = 50 * good_codes(tiny_networks(root))
    one, same, other = (torch.cat(list(plausible(tiny_networks(root, seed=s, fit_steps=3), absurd))) for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    alone = plausible(tiny_networks(root, seed=0, fit_steps=3), absurd)
    assert torch.equal(alone[2], one[2:])  # whichever others are asked for


def with_quantiles(root: Path, folder: Path, change: Callable[[dict], object]) -> Networks:
    """The experiment with a flow whose checkpoint is changed."""
    state = load_checkpoint(best_flow(root))
    change(state)
    write_state(state, folder / "changed.tar")
    return tiny_networks(root, rnvp_checkpoint=folder / "changed.tar")


def test_the_radius_is_the_training_codes_or_if_larger_the_samples(root: Path, tmp_path: Path):
    of_samples = pytest.approx(chi2.ppf(0.999, 5) ** 0.5)
    found = {}
    for value in (9.0, 1.0):
        made = with_quantiles(root, tmp_path, lambda state, v=value: state["quantiles"]["z_norm"].update({"0.999": v}))
        found[value] = largest_norm(made)
    assert found == {9.0: 9.0, 1.0: of_samples}
    stored = load_checkpoint(best_flow(root))["quantiles"]["z_norm"]
    assert largest_norm(tiny_networks(root)) == max(of_samples.expected, stored["0.999"])


def test_checkpoints_of_earlier_versions_work(root: Path, tmp_path: Path):
    made = with_quantiles(root, tmp_path, lambda state: state.pop("quantiles"))
    assert largest_norm(made) == pytest.approx(chi2.ppf(0.999, 5) ** 0.5)
    good = good_codes(made)
    codes = plausible(made, torch.cat([good[:1], 1e3 * good[1:2]]))
    assert torch.equal(codes[0], good[:1])
    assert norms(made, codes).max() < codes.radius * (1 + 1e-4)


def test_it_applies_to_vector_codes_with_a_flow_alone(root: Path):
    assert applies(tiny_networks(root))
    assert not applies(tiny_networks(root, plausible=False))
    assert not applies(tiny_networks(root, exp_name="flowless", ndf_checkpoint=best_ndf(root)))
    grid = {"exp_name": "grid", "code_kind": "grid", "out_resolution": 3, "latent_dim": 2, "flow_scales": 1}
    cfg = tiny_config(root, **grid)
    save_random_ndf(cfg)
    train_flow(cfg)
    assert not applies(tiny_networks(root, **grid))
    assert not isinstance(reconstructed(tiny_networks(root, **grid), "test").codes, PlausibleCodes)


@pytest.fixture
def strange(root: Path) -> tuple[str, ...]:
    """The options of a run in which two of three reconstructions have codes off the data."""
    return ("--config", tiny_config(root).run.config, "--fit_steps", "4", "--mode", "reconstruct", "--num_shapes", "3")


@pytest.fixture
def off_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders that give test shapes 1 and 2 codes 1,000 times too long."""
    plain = PlausibleCodes.__init__

    def init(self: PlausibleCodes, networks: Networks, names: list[str], codes: list[Tensor], cloud: Callable) -> None:
        mean = good_codes(networks)[:1]  # of a training shape: on the data
        plain(self, networks, names, [mean, 1e3 * codes[1], 1e3 * codes[2]], cloud)

    monkeypatch.setattr(PlausibleCodes, "__init__", init)


@pytest.mark.usefixtures("off_data")
def test_generate_tells_in_one_line_and_the_index_keeps_the_facts(
    root: Path, strange: tuple[str, ...], capsys: pytest.CaptureFixture
):
    assert generate.main([*strange]) == 0
    text = capsys.readouterr().out
    folder = tiny_config(root).experiment.reconstruction
    index = json.loads((folder / "index.json").read_text())
    assert list(index["brought_back"]) == ["sphere9", "sphere10"]
    longest = max(facts["z_norm"] for facts in index["brought_back"].values())
    radius = largest_norm(tiny_networks(root))
    line = brought_back_sentence(folder)
    assert line in text.splitlines()
    assert says(line, f"2 3 {longest:.1f} {radius:.1f} fitting --plausible false")
    assert index["plausible"] == {"largest_z_norm": radius, "fit_steps": 4}
    with np.load(folder / "sphere9" / DENSE_POINT_CLOUD) as file:  # the file holds the code that was decoded
        code, cloud, nll = torch.from_numpy(file["code"])[None], file["point_cloud"], file["nll_nats_per_dim"]
    networks = tiny_networks(root)
    assert networks.flow(code)[0].norm() < radius * (1 + 1e-4)
    assert np.array_equal(decode(networks, code, 90, 1), cloud)
    assert nll == pytest.approx(networks.flow.nats_per_dim(code).item(), rel=1e-5)

    before = (folder / "sphere9" / DENSE_POINT_CLOUD).stat().st_mtime_ns
    assert generate.main([*strange]) == 0  # all is there
    assert line in capsys.readouterr().out.splitlines()
    assert (folder / "sphere9" / DENSE_POINT_CLOUD).stat().st_mtime_ns == before
    assert generate.main([*strange, "--fit_steps", "0"]) == 0
    assert says(capsys.readouterr().out, "2 3 shortening --plausible false")
    assert (folder / "sphere9" / DENSE_POINT_CLOUD).stat().st_mtime_ns > before


@pytest.mark.usefixtures("off_data")
def test_turned_off_nothing_is_told_and_clouds_are_those_of_the_encoder(
    root: Path, strange: tuple[str, ...], capsys: pytest.CaptureFixture
):
    generate.main([*strange])
    folder = tiny_config(root).experiment.reconstruction
    before = read_cloud(folder / "sphere9" / DENSE_POINT_CLOUD)
    capsys.readouterr()
    generate.main([*strange, "--plausible", "false"])
    assert "--plausible" not in capsys.readouterr().out
    index = json.loads((folder / "index.json").read_text())
    assert "plausible" not in index and "brought_back" not in index
    with np.load(folder / "sphere9" / DENSE_POINT_CLOUD) as file:
        assert np.array_equal(file["code"], np.load(tiny_config(root).experiment.codes / "test.npy")[1])
    assert not np.array_equal(read_cloud(folder / "sphere9" / DENSE_POINT_CLOUD), before)


@pytest.mark.usefixtures("off_data")
def test_the_reconstruction_table_says_so_and_refuses_clouds_made_otherwise(root: Path, strange: tuple[str, ...]):
    generate.main([*strange])
    reconstruction = [*strange[:4], "--tasks", "reconstruction"]
    assert evaluate.main(reconstruction) == 0
    folder = tiny_config(root).experiment.evaluation
    note = json.loads((folder / "results.json").read_text())["tables"]["reconstruction"]["note"]
    assert note.endswith(brought_back_sentence(folder / "reconstruction") + ".")
    for options, changed in (["--plausible", "false"], "plausible true -> false"), (["--fit_steps", "5"], "4 -> 5"):
        with pytest.raises(UserError, match=f"{changed}.*generate.py --mode reconstruct"):
            evaluate.main([*reconstruction, *options])
    generate.main([*strange, "--plausible", "false"])
    with pytest.raises(UserError, match="plausible false -> true"):
        evaluate.main(reconstruction)
    assert evaluate.main([*reconstruction, "--plausible", "false"]) == 0


def test_what_is_told_of_codes_that_are_not_finite(tmp_path: Path):
    def sentence(*norms: float | None) -> str:
        found = {str(n): {"z_norm": norm} for n, norm in enumerate(norms)}
        options = {"largest_z_norm": 13.53, "fit_steps": 0}
        index = {"shapes": ["0", "1", "2"], "plausible": options, "brought_back": found}
        (tmp_path / "index.json").write_text(json.dumps(index))
        return brought_back_sentence(tmp_path)

    assert says(sentence(20.0, 31.04), "2 3 31.0 13.5") and not says(sentence(20.0, 31.04), "finite")
    assert says(sentence(20.0, None), "20.0 finite 13.5") and says(sentence(None), "1 3 finite 13.5")
    assert sentence() == brought_back_sentence(tmp_path / "nothing.json") == ""
