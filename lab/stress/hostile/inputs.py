"""The cases: every reader with every kind of damage, and what only its own format can be made to do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import evaluate
import generate
import train_ndf
import train_rnvp
from dataprocessing import create_split, preprocess
from lab.stress.hostile.cases import CONFIG, EXPERIMENT, NO_FILES, broken, written
from lab.stress.hostile.damage import BROKEN, FLIPS, Damage, hostile_npz
from lab.stress.hostile.inputs_of_meshes import DAE, GLB, GLTF, OBJ, OFF, PLY, STL
from lab.stress.hostile.inputs_of_shapes import of_attributes, of_chains, of_meshes_beside, of_points
from lab.stress.hostile.inputs_of_states import (
    CHECKPOINTS,
    CODE_ROWS,
    CONFIGS,
    FLOWS,
    INDICES,
    NAMES,
    RECORDS,
    SPLITS,
    TENSORS,
)
from lab.stress.hostile.sandbox import Case
from lab.stress.hostile.template import EVALUATE, MESHES

# What a cloud of a kind cannot tell: what follows its vertices is ignored; the last digit of a text may be its last.
UNTOLD = {"ply": ("8 GB of zeros behind it",), "off": ("last byte missing",)}


def all_cases() -> list[Case]:
    parts = (of_configs, of_meshes, of_clouds, of_splits, of_samples, of_codes, of_checkpoints, of_indices, of_caches,
             of_points, of_chains, of_attributes, of_meshes_beside)  # fmt: skip
    return [case for part in parts for case in part()]


def of_configs() -> Iterator[Case]:
    damages = {name: damage for name, damage in BROKEN.items() if name != "first half"}  # which is a config, too
    yield from broken("config", "config.txt", damages, create_split, CONFIG, "split.npz")
    lines = {name: written(text) for name, text in CONFIGS.items()}
    yield from broken("config", "config.txt", lines, create_split, CONFIG, "split.npz")


def of_meshes() -> Iterator[Case]:
    own = {"obj": OBJ, "off": OFF, "ply": PLY, "stl": STL, "glb": GLB, "gltf": GLTF, "dae": DAE}
    for kind in MESHES:
        words = (*CONFIG, "--data_dir", f"FOLDER/meshes/{kind}", "--input_data_glob", f"/*/model.{kind}")
        words += ("--distance_backend", "torch", "--device", "cpu", "--num_sharp_samples", "40")
        file, allowed = f"meshes/{kind}/bad/model.{kind}", f"meshes/{kind}"
        gone = NO_FILES  # no mesh files at all, then
        files = {name: damage for name, damage in BROKEN.items() if name not in gone}
        if kind == "stl":
            files.pop("last byte missing")  # of an attribute that nobody reads
        damages = files | {name: written(content) for name, content in own[kind].items()}
        for name, damage in damages.items():
            yield from broken(kind, file, {name: damage}, preprocess, words, allowed, (1,), ("bad/model",))
        yield from broken(kind, file, FLIPS, preprocess, words, allowed, (0, 1))
    for name, folder_name in NAMES.items():
        yield Case("names", name, renamed(folder_name), preprocess, words_of_names(), ("named",), (1,), ("named/",))
        yield Case(
            "names", f"{name}, split", renamed(folder_name), create_split, words_of_names(), ("named", "split.npz")
        )


def words_of_names() -> tuple[str, ...]:
    words = ("--data_dir", "FOLDER/named", "--input_data_glob", "/*/model.obj", "--distance_backend", "torch")
    return (*CONFIG, *words, "--device", "cpu")


def renamed(name: str) -> Callable[[Path], None]:
    """One good and one broken mesh in a folder of this name."""

    def prepare(folder: Path) -> None:
        (folder / "named").mkdir()
        (folder / "meshes" / "obj" / "good").rename(folder / "named" / "good")
        bad = folder / "named" / name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        (folder / "meshes" / "obj" / "bad").rename(bad)
        (bad / "model.obj").write_text("v 1 2\n")

    return prepare


def of_clouds() -> Iterator[Case]:
    good = {"point_cloud": np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)}
    own: dict[str, dict[str, bytes | str]] = {"npz": dict(hostile_npz("point_cloud", good)), "ply": PLY, "off": OFF}
    own["npz"].pop("without its key")  # another array that fits is a cloud too
    for kind in ("npz", "npy", "pt", "ply", "off"):
        words = ("--samples", f"FOLDER/clouds/{kind}", "--references", "FOLDER/clouds/good", "--num_eval_points", "40")
        words += ("--output", "FOLDER/out", "--emd", "none", "--num_cpus", "1", "--device", "cpu")
        file = f"clouds/{kind}/2.{kind}"
        gone = NO_FILES  # no cloud files at all, then
        damages = {name: damage for name, damage in BROKEN.items() if name not in gone}
        damages |= {name: written(content) for name, content in own.get(kind, {}).items()}
        damages |= TENSORS if kind == "pt" else {}
        untold = {name: damages.pop(name) for name in UNTOLD.get(kind, ())}
        yield from broken(kind + " cloud", file, untold, evaluate, words, "out", (0, 2))
        yield from broken(kind + " cloud", file, damages, evaluate, words, "out")
        yield from broken(kind + " cloud", file, dict(list(FLIPS.items())[:2]), evaluate, words, "out", (0, 2))


def of_splits() -> Iterator[Case]:
    names = np.array(["sphere0", "sphere1"])
    arrays = hostile_npz("train", {"train": names, "val": names, "test": names})
    arrays = {name: content for name, content in arrays.items() if name not in ("another shape", "a single number")}
    arrays["no rows"] = arrays.pop("no rows")
    damages = BROKEN | {name: written(content) for name, content in arrays.items()} | SPLITS
    yield from broken("split", "split.npz", damages, train_ndf, CONFIG, EXPERIMENT)
    yield from broken("split", "split.npz", SPLITS, generate, (*CONFIG, "--mode", "reconstruct"), EXPERIMENT)
    words = (*CONFIG, "--input_data_glob", "/*/model.obj")
    there = {name: damage for name, damage in BROKEN.items() if name != "a link to itself"}  # there is none, then
    yield from broken("split that is there", "split.npz", there, create_split, words, "experiments/none")
    records = {name: written(text) for name, text in RECORDS.items()}
    words += ("--split_file", f"FOLDER/{EXPERIMENT}/other.npz")
    yield from broken("record", "data/sphere0/made_of.json", records, create_split, words, EXPERIMENT, (0,))


def of_samples() -> Iterator[Case]:
    rng = np.random.default_rng(4)
    good = {"points": rng.normal(size=(90, 3)), "df": rng.random(90)}
    words = (*CONFIG, "--exp_name", "anew")
    for key in good:
        damages = {name: written(content) for name, content in hostile_npz(key, good).items()}
        damages = (BROKEN if key == "df" else {}) | damages
        file = "data/sphere3/boundary_0.08_samples.npz"
        yield from broken("samples", file, damages, train_ndf, words, "experiments/anew")
    cloud = {"point_cloud": rng.normal(size=(53, 3))}
    damages = BROKEN | {name: written(content) for name, content in hostile_npz("point_cloud", cloud).items()}
    file, words = "data/sphere8/voxelized_point_cloud_9res_53points.npz", (*CONFIG, "--mode", "reconstruct")
    words += ("--num_shapes", "4")
    yield from broken("input cloud", file, damages, generate, words, EXPERIMENT)


def of_codes() -> Iterator[Case]:
    words = (*CONFIG, *EVALUATE, "--num_eval_points", "50")
    file = f"{EXPERIMENT}/codes/train"
    yield from broken("codes", f"{file}.npy", BROKEN, evaluate, words, EXPERIMENT)
    yield from broken("codes", f"{file}.npy", FLIPS, evaluate, words, EXPERIMENT, (0, 2))
    arrays = {"NaN": np.full((14, 5), np.nan, np.float32), "words": np.array(["a"] * 14),
              "one row": np.zeros((1, 5), np.float32), "float64": np.zeros((14, 5))}  # fmt: skip
    saved = {name: (lambda path, array=array: np.save(path, array)) for name, array in arrays.items()}
    yield from broken("codes", f"{file}.npy", saved, evaluate, words, EXPERIMENT)
    yield from broken("codes.json", f"{file}.json", BROKEN | CODE_ROWS, evaluate, words, EXPERIMENT)
    # step 4 makes them again
    again = {name: BROKEN[name] for name in ("empty", "first half", "random bytes", "brackets", "a web page")}
    for end in ("npy", "json"):
        yield from broken(f"codes.{end}, step 4", f"{file}.{end}", again, train_rnvp, CONFIG, EXPERIMENT, (0, 2))


def of_checkpoints() -> Iterator[Case]:
    for kind, own in (("ndf", CHECKPOINTS), ("rnvp", FLOWS)):
        file = f"{EXPERIMENT}/checkpoints_{kind}/best.tar"
        words = (*CONFIG, "--seed", "3")
        damages, gone = BROKEN | own, NO_FILES
        others = {
            name: damages.pop(name) for name in gone
        }  # no file: the latest checkpoint is used instead of the best
        yield from broken(f"checkpoint of {kind}", file, damages, generate, words, EXPERIMENT)
        yield from broken(f"checkpoint of {kind}", file, others, generate, words, EXPERIMENT, (0, 2))
        yield from broken(f"checkpoint of {kind}", file, FLIPS, generate, words, EXPERIMENT, (0, 2))


def of_indices() -> Iterator[Case]:
    file = f"{EXPERIMENT}/evaluation/generation/index.json"
    words = (*CONFIG, "--num_shapes", "2", "--num_output_points", "70")
    damages = {name: damage for name, damage in BROKEN.items() if name not in ("a folder",)} | INDICES
    yield from broken("index", file, damages, generate, words, f"{EXPERIMENT}/evaluation/generation", (0, 2))
    file = f"{EXPERIMENT}/evaluation/reconstruction/index.json"
    words = (*CONFIG, "--tasks", "reconstruction", "--num_eval_points_dense", "60")
    yield from broken("index, evaluated", file, BROKEN | INDICES, evaluate, words, f"{EXPERIMENT}/evaluation")
    yield from of_stopped_runs()


def of_stopped_runs() -> Iterator[Case]:
    """A cloud that a stopped run has left, of which the next one reads what became of its code."""
    place = f"{EXPERIMENT}/evaluation/reconstruction"
    words = (*CONFIG, "--mode", "reconstruct", "--num_shapes", "2", "--num_output_points", "70")
    facts = {name: np.ones(1) for name in ("z_norm", "error_before", "error_after")}
    gone = NO_FILES  # no file of a stopped run, then
    damages = {f"{name}, stopped": damage for name, damage in BROKEN.items() if name not in gone}
    own = {name: written(content) for name, content in hostile_npz("z_norm", facts).items()}
    for found, statuses in ((damages, (2,)), (own, (0, 2))):
        stopped = {name: after_a_stop(damage) for name, damage in found.items()}
        yield from broken("cloud of a stopped run", f"{place}/sphere8/dense_point_cloud.npz", stopped, generate, words,
                          place, statuses)  # fmt: skip


def after_a_stop(damage: Damage) -> Damage:
    """The damage, and the index as a run leaves it that was stopped."""

    def stopped(cloud: Path) -> None:
        folder = cloud.parent.parent
        (folder / "index.json").rename(folder / "index_unfinished.json")
        damage(cloud)

    return stopped


def of_caches() -> Iterator[Case]:
    words = (*CONFIG, *EVALUATE)
    chosen = ("empty", "first half", "random bytes", "a pickle that runs code", "a folder", "a link to /dev/zero")
    damages = {name: BROKEN[name] for name in chosen} | dict(list(FLIPS.items())[:2])
    yield from broken("results", f"{EXPERIMENT}/evaluation/results.json", damages, evaluate, words, EXPERIMENT, (0, 2))
    for reader, file, key in (
        ("set of clouds", "sets/flow_0.npz", "point_cloud"),
        ("distances", "cache/cd-test-flow_0.npz", "point_cloud"),
        ("wholeness", "cache/wholeness-flow_0.npz", "values"),
    ):
        own = hostile_npz(key, {key: np.zeros((3, 60, 3), np.float32), "index": np.array("x")})
        for name in ("objects that run code", "a zip bomb of 3 GB", "a trillion rows", "without its key"):
            damages[name] = written(own[name])
        place = f"{EXPERIMENT}/evaluation/{file}"
        yield from broken(reader, place, damages, evaluate, words, EXPERIMENT, (0, 2))  # results go to TensorBoard too
