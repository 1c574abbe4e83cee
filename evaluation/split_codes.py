"""The stored codes of a split beside the split itself, which may have changed since."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from configs.errors import UserError
from configs.layout import Experiment
from configs.reading import reading
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from frozen.codes import REMADE, load_codes, read_index


def plain_folders(cfg: Namespace, split: str) -> list[Path]:
    """The folder of each shape of the plain codes of a split, in their order. Raises UserError if one is not in it."""
    stored = load_codes(cfg, split)
    folders = {shape_name(folder): folder for folder in split_folders(cfg)[split]}
    names = [stored.rows[i]["name"] for i in stored.plain_indices()]
    if missing := [name for name in names if name not in folders]:
        raise UserError(f"{missing[0]} of {stored.path} is no {split} shape of {cfg.split_file}; {_again(cfg)}")
    return [folders[name] for name in names]


def check_codes(cfg: Namespace, split: str, digests: Mapping[str, str]) -> None:
    """Raise UserError if the codes of a split are there, but of other shapes than it has (name -> digest of cloud)."""
    path = Experiment(cfg).codes / f"{split}.json"
    if not path.is_file():
        return  # whoever needs them says so
    index = read_index(path.parent, split)
    names = {row["name"] for row in index["rows"]}
    with reading(path, REMADE):
        encoded = index.get("made_of", {}).get("shapes") or {name: digests.get(name, "gone") for name in names}
        changed = sorted(name for name in {*encoded, *digests} if encoded.get(name) != digests.get(name))
    if changed:
        raise UserError(
            f"the codes of {path} are not those of the {split} shapes of {cfg.split_file}: {len(changed)} have changed"
            f" since, the first: {changed[0]}; {_again(cfg)}"
        )


def _again(cfg: Namespace) -> str:
    return f"encode them again with: python train_rnvp.py --config {cfg.config}"
