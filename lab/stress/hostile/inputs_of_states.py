"""Configurations, splits, codes, indices and checkpoints that are whole files, but say something impossible."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.stress.hostile.damage import Damage, RunsCode

_LONG = "x" * 200
NAMES = {
    "spaces": "a car  with   spaces ",
    "a newline": "two\nlines",
    "a tab and a bell": "tab\tbell\a",
    "colours of a terminal": "\x1b[31mred\x1b[0m",
    "Chinese and Greek": "汽车_αυτοκίνητο",
    "right to left": "\u202egpj.rac",
    "bytes that are no text": "latin1_\udce9",
    "a formula": "=HYPERLINK(1)",
    "an option": "--help",
    "markup": "<script>alert(1)<∕script>",
    "quotes": "'\"`$(touch victim;)`",
    "200 letters": _LONG,
}

_GOOD = "exp_name = a\ndata_dir = data\nsplit_file = split.npz\n"
CONFIGS: dict[str, bytes | str] = {
    "UTF-16": _GOOD.encode("utf-16"),
    "latin1": (_GOOD + "# caf\xe9\n").encode("latin1"),
    "includes itself": _GOOD + "include = config.txt\n",
    "includes its parent": _GOOD + "include = ../config.txt\n",
    "includes /etc/passwd": _GOOD + "include = /etc/passwd\n",
    "includes /dev/zero": _GOOD + "include = /dev/zero\n",
    "includes nothing": _GOOD + "include =\n",
    "a section": _GOOD + "[section]\n",
    "a list that does not end": _GOOD + "sample_std_dev = [0.1, 0.2\n",
    "NaN": _GOOD + "bb_min = nan\n",
    "infinite": _GOOD + "filter_val = inf\n",
    "a list with NaN": _GOOD + "sample_ratio = [nan, 0.5, 0.5]\n",
    "a number of 5,000 digits": _GOOD + f"num_points = {'9' * 5000}\n",
    "a trillion trillion points": _GOOD + f"num_points = {10**24}\n",
    "a negative seed": _GOOD + "seed = -1\n",
    "a name that leads out": _GOOD.replace("exp_name = a", "exp_name = ../../victim"),
    "a pattern that leads out": _GOOD + "input_data_glob = ../victim/*/model.obj\n",
    "code for a number": _GOOD + "num_points = __import__('os').system('touch victim/was_run')\n",
    "one key twice, with words": _GOOD + "num_points = 5\nnum_points = many\n",
    "100,000 keys": _GOOD + "".join(f"key_{n} = {n}\n" for n in range(100_000)),
    "a line of a megabyte": _GOOD + "a" * (1 << 20),
    "brackets for a number": _GOOD + "sample_std_dev = " + "[" * 50_000,
}


def _split(name: str, **parts: list[str]) -> Damage:
    names = {"train": ["sphere0", "sphere1"], "val": ["sphere2"], "test": ["sphere3"]} | parts
    return lambda path: np.savez(path, **{part: np.array(paths, dtype=np.str_) for part, paths in names.items()})


RECORDS = {  # of a shape's folder
    "brackets": "[" * 200_000,
    "a number": "5",
    "no facts": json.dumps({"mesh": {"of": None, "files": [], "found": {"path": "a"}}}),
    "a path that leads out": json.dumps(
        {"mesh": {"of": {}, "files": ["../victim"], "found": {"path": "../../victim"}}}
    ),
    "a path that is none": json.dumps({"mesh": {"of": {}, "files": [], "found": {"path": "\0", "stream": 5}}}),
}

SPLITS: dict[str, Damage] = {
    name: _split(name, test=[path], val=[path], train=[path])
    for name, path in {
        "a path that ends in ..": "meshes/other/sphere0/..",
        "a path of dots": "../../../../..",
        "a path to the parent": "../victim",
        "the root": "/",
        "an empty path": "",
        "a path with a zero byte": "sphere\0/0",
        "a path with a newline": "sphere\n0",
        "a path of 100,000 letters": "x" * 100_000,
        "a path of 10,000 folders": "a/" * 10_000,
        "a path that is no text": "\udcff\ud800",
        "a path to /dev": "/dev",
    }.items()
}
SPLITS["20,000 paths to nowhere"] = _split("", train=[f"nowhere/{n}" for n in range(20_000)])


def changed_json(change: Callable[[Any], Any]) -> Damage:
    return lambda path: path.write_text(json.dumps(change(json.loads(path.read_text()))))


def _rows(**changes: Any) -> Damage:
    return changed_json(lambda index: index | {"rows": [row | changes for row in index["rows"]]})


CODE_ROWS = {
    "a list": changed_json(lambda index: [index]),
    "without rows": changed_json(lambda index: {key: value for key, value in index.items() if key != "rows"}),
    "no rows": changed_json(lambda index: index | {"rows": []}),
    "rows that are words": changed_json(lambda index: index | {"rows": ["a", "b"]}),
    "a row too many": changed_json(lambda index: index | {"rows": index["rows"] + index["rows"][:1]}),
    "a name that is a number": _rows(name=3),
    "mirrored that is a word": _rows(mirrored="no"),
    "a draw that is a list": _rows(draw=[0]),
    "a sha256 that is a number": changed_json(lambda index: index | {"sha256": 5}),
    "another sha256": changed_json(lambda index: index | {"sha256": "0" * 64}),
    "a shape of words": changed_json(lambda index: index | {"code_shape": ["a"]}),
    "made of a word": changed_json(lambda index: index | {"made_of": "all"}),
    "made of a list of shapes": changed_json(lambda index: index | {"made_of": {"shapes": ["a"]}}),
    "a huge shape": changed_json(lambda index: index | {"code_shape": [10**12]}),
}

INDICES = {
    "a list": changed_json(lambda index: [index]),
    "a number": changed_json(lambda index: 7),
    "without shapes": changed_json(lambda index: {key: value for key, value in index.items() if key != "shapes"}),
    "shapes that lead out": changed_json(lambda index: index | {"shapes": ["../../../../../victim"]}),
    "shapes that are numbers": changed_json(lambda index: index | {"shapes": [1, 2]}),
    "an absolute shape": changed_json(lambda index: index | {"shapes": ["/etc"]}),
    "shapes that are a word": changed_json(lambda index: index | {"shapes": "../.."}),
}


def changed_state(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(path: Path) -> None:
        torch.save(change(torch.load(path, weights_only=True)), path)

    return damage


def _config(**changes: Any) -> Damage:
    return changed_state(lambda state: state | {"config": state["config"] | changes})


def _weights(key: str, change: Callable[[torch.Tensor], Any]) -> Damage:
    def change_first(state: dict[str, Any]) -> dict[str, Any]:
        weights = dict(state[key])
        name = next(name for name, value in weights.items() if value.dim() >= 1 and value.is_floating_point())
        return state | {key: weights | {name: change(weights[name])}}

    return changed_state(change_first)


def _states(key: str) -> dict[str, Damage]:
    """What may be wrong with the weights under `key`, and beside them."""
    return {
        "a list": changed_state(lambda state: [state]),
        "a tensor": changed_state(lambda state: torch.zeros(3)),
        "nothing in it": changed_state(lambda state: {}),
        "without weights": changed_state(lambda state: {name: v for name, v in state.items() if name != key}),
        "weights that are a list": changed_state(lambda state: state | {key: [1, 2]}),
        "weights that are words": changed_state(lambda state: state | {key: dict.fromkeys(state[key], "a")}),
        "one weight less": changed_state(lambda state: state | {key: dict(list(state[key].items())[1:])}),
        "one weight more": changed_state(lambda state: state | {key: state[key] | {"more": torch.zeros(2)}}),
        "a weight of NaN": _weights(key, lambda value: value * float("nan")),
        "an infinite weight": _weights(key, lambda value: value + float("inf")),
        "a weight of another shape": _weights(key, lambda value: torch.zeros(3, 3, 3)),
        "a weight that is repeated": _weights(key, lambda value: torch.zeros(1).expand(10**9)),
        "a sparse weight": _weights(key, lambda value: value.to_sparse()),
        "a complex weight": _weights(key, lambda value: value.to(torch.complex64)),
        "objects that run code": changed_state(lambda state: state | {"more": RunsCode()}),
        "a config that is a list": changed_state(lambda state: state | {"config": [1]}),
    }


CHECKPOINTS: dict[str, Damage] = _states("model_state_dict") | {
    "hidden_dim of a billion": _config(hidden_dim=10**9),
    "hidden_dim of 60,000": _config(hidden_dim=60_000),
    "hidden_dim of minus 3": _config(hidden_dim=-3),
    "hidden_dim that is a word": _config(hidden_dim="many"),
    "no channels": _config(encoder_channels=[]),
    "channels that are a number": _config(encoder_channels=5),
    "a resolution of a million": _config(decoder_resolution=[10**6, 10**6]),
    "a latent_dim of 0": _config(latent_dim=0),
    "num_points that is a word": _config(num_points="many"),
    "shapes that are words": changed_state(lambda state: state | {"shapes": {"train": "all"}}),
    "an unknown encoder": _config(code_encoder="magic"),
    "an unknown code_kind": _config(code_kind="magic"),
}
FLOWS: dict[str, Damage] = _states("ema_state_dict") | {
    "without config": changed_state(lambda state: {key: v for key, v in state.items() if key != "config"}),
    "a billion couplings": _config(flow_couplings=10**9),
    "half a coupling": _config(flow_couplings=0.5),
    "hidden that is a word": _config(flow_hidden="many"),
    "dropout of 7": _config(flow_dropout=7.0),
    "another NDF": changed_state(lambda state: state | {"ndf_sha256": "0" * 64}),
    "codes that are a list": changed_state(lambda state: state | {"codes": ["train"]}),
    "an NDF that is a number": changed_state(lambda state: state | {"ndf_sha256": 3}),
}


def _saved(value: Any) -> Damage:
    return lambda path: torch.save(value, path)


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


TENSORS: dict[str, Damage] = {
    "objects that run code": _saved(RunsCode()),
    "a circle": _saved(_circle()),
    "words": _saved({"points": "a"}),
    "one number repeated": _saved(torch.zeros(1, 1).expand(10**9, 3)),
    "a sparse tensor": _saved(torch.sparse_coo_tensor(torch.tensor([[0], [0]]), torch.ones(1), (10**9, 3))),
    "a complex tensor": _saved(torch.zeros(5, 3, dtype=torch.complex64)),
    "booleans": _saved(torch.zeros(5, 2, dtype=torch.bool)),
    "no points": _saved(torch.zeros(0, 3)),
    "NaN": _saved(torch.full((40, 3), float("nan"))),
    "another number of points": _saved(torch.zeros(7, 3)),
    "a meta tensor": _saved(torch.zeros(40, 3, device="meta")),
    "a program": lambda path: torch.jit.save(torch.jit.script(torch.nn.Identity()), path),
    "a list of lists": _saved([[[1.0, 2.0, 3.0]]]),
}
