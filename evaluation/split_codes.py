"""Whether the stored codes of a split are of its shapes, which may have changed since."""

from collections.abc import Mapping

from configs.options import Config
from frozen.codes import REMADE, read_index
from runtime.errors import UserError
from runtime.reading import reading


def check_codes(cfg: Config, split: str, digests: Mapping[str, str]) -> None:
    """Raise UserError if the codes of a split are there, but of other shapes than it has (name -> digest of cloud)."""
    path = cfg.experiment.codes / f"{split}.json"
    if not path.is_file():
        return  # whoever needs them says so
    index = read_index(path.parent, split)
    names = {row["name"] for row in index["rows"]}
    with reading(path, REMADE):
        encoded = index["made_of"].get("shapes") or {name: digests.get(name, "gone") for name in names}
        changed = sorted(name for name in {*encoded, *digests} if encoded.get(name) != digests.get(name))
    if changed:
        raise UserError(
            f"the codes of {path} are not those of the {split} shapes of {cfg.data.split_file}: {len(changed)} have"
            f" changed since, the first: {changed[0]}; encode them again with: python train_rnvp.py"
            f" --config {cfg.run.config}"
        )
