"""A study in parts, each of which may be run alone: what a part is made of, and on which shapes it may be run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from configs.decided import options_of
from configs.options import Config
from dataprocessing.split import PARTS, split_folders
from dataprocessing.stored_points import shape_digests
from evaluation.code_nna import Shares, shares_of
from evaluation.protocols import references_of
from evaluation.split_codes import check_codes
from evaluation.tables import Table
from frozen.checkpoint_files import best_checkpoint, fingerprint, ndf_checkpoint_path, rnvp_checkpoint_path
from frozen.trained_on import check_not_trained_on
from generation.networks import Networks
from models.distance_network import WITHOUT_CODE
from runtime.artefacts import OPTIONS, Facts, digest, why
from runtime.errors import UserError, note
from runtime.layout import Experiment

TOLD = (OPTIONS, "trained_on")  # facts of a part that do not make it stale
OTHER = "NDF of "  # and the name of another experiment


@dataclass
class Result:
    """What a part gave: its tables, further facts for the json, and what it was made of."""

    tables: list[Table]
    facts: Facts
    made_of: Facts


@dataclass(frozen=True)
class Part:
    """run: returns tables, and facts for the json; options: those that decide it, of the artefact `tables`; tested:
    parts of the split that no network may have been trained on; shapes: further ones of which it tells; codes: whether
    it takes their stored codes; lacks: why it cannot be done, None if it can."""

    name: str
    run: Callable[["Study"], tuple[list[Table], Facts]]
    options: tuple[str, ...]
    tested: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    codes: bool = True
    lacks: Callable[["Study"], str | None] = lambda study: None


class Study:
    """What the parts of a study share, each read or computed once, when it is asked for."""

    def __init__(self, cfg: Config, folder: Path):
        self.cfg, self.folder = cfg, folder
        self._digests: dict[str, dict[str, str]] = {}

    @cached_property
    def networks(self) -> Networks:
        return Networks(self.cfg)

    @cached_property
    def folders(self) -> dict[str, list[Path]]:
        return split_folders(self.cfg)

    @cached_property
    def code_shares(self) -> Shares:
        """1-NNA of codes, which two parts show."""
        return shares_of(self.networks)

    @cached_property
    def checkpoints(self) -> dict[str, Path]:
        """The networks that there are, by their names in `Networks.sources`."""
        found: dict[str, Path | None] = {}
        try:
            found["ndf"] = ndf_checkpoint_path(self.cfg)
            found["rnvp"] = None if self.cfg.network.code_kind in WITHOUT_CODE else rnvp_checkpoint_path(self.cfg)
        except UserError:
            pass  # whoever needs it says so
        return {name: path for name, path in found.items() if path is not None}

    @cached_property
    def sources(self) -> dict[str, str]:
        """`Networks.sources`, without loading them."""
        return {
            key: value
            for name, path in self.checkpoints.items()
            for key, value in ((f"{name}_checkpoint", str(path)), (f"{name}_sha256", fingerprint(path)))
        }

    def digests(self, split: str) -> dict[str, str]:
        """Shape -> digest of its input cloud, of a part of the split."""
        if split not in self._digests:
            self._digests[split] = shape_digests(self.folders[split], self.cfg)
        return self._digests[split]

    def run(self, parts: Iterable[Part]) -> dict[str, Result]:
        """Run some parts, after all of them were checked. Raises UserError for shapes that a network was trained on."""
        made_of = {part: self.made_of(part) for part in self.possible(parts)}
        results = {}
        for part, made in made_of.items():
            tables, facts = part.run(self)
            notes = [
                f"{name} was trained on {number} of the {split} shapes."
                for split, found in made.get("trained_on", {}).items()
                for name, number in found.items()
            ]
            tables = [replace(table, note=" ".join(filter(None, [table.note, *notes]))) for table in tables]
            results[part.name] = Result(tables, facts, made)
        return results

    def possible(self, parts: Iterable[Part]) -> list[Part]:
        """The parts for which there is what they need; a note tells of the others. Raises UserError if that is none."""
        lacking = {part: part.lacks(self) for part in parts}
        if lacking and all(lacking.values()):
            raise UserError(next(reason for reason in lacking.values() if reason))
        for part, reason in lacking.items():
            if reason:
                note(f"{part.name} left out: {reason}")
        return [part for part, reason in lacking.items() if not reason]

    def made_of(self, part: Part) -> Facts:
        """The facts of a part: its options, networks and shapes."""
        tested = part.tested
        if "protocol" in part.options:
            tested = tuple(dict.fromkeys([*tested, references_of(self.cfg.evaluation.protocol)]))
        asked = "compare_experiments" in part.options
        others = dict.fromkeys(self.cfg.others.compare_experiments or ()) if asked else {}
        named = {OTHER + name: path for name in others if name != self.cfg.run.exp_name and (path := self.ndf_of(name))}
        networks = {{"ndf": "the NDF", "rnvp": "the flow"}[name]: path for name, path in self.checkpoints.items()}
        seen = {
            split: check_not_trained_on(
                networks | named, self.digests(split), split, self.cfg.data, self.cfg.evaluation
            )
            for split in tested
        }
        seen = {split: found for split, found in seen.items() if found}
        for split in (*tested, *part.shapes) if part.codes else ():
            check_codes(self.cfg, split, self.digests(split))
        shapes = [f"{split}_{what}" for split in (*tested, *part.shapes) for what in ("shapes", "clouds")]
        keys = ("ndf_sha256", "rnvp_sha256", *shapes, *named)
        facts = {key: self.present(key) for key in keys if self.present(key) is not None}
        options = options_of("tables", self.cfg)
        return {OPTIONS: {name: options[name] for name in part.options}, **facts} | (
            {"trained_on": seen} if seen else {}
        )

    def present(self, key: str) -> object:
        """What a fact of `made_of` is now; None for one that is no more."""
        split, _, what = key.partition("_")
        if split in PARTS:
            digests = self.digests(split)
            return len(digests) if what == "shapes" else digest(digests)
        if key.startswith(OTHER):
            path = self.ndf_of(key.removeprefix(OTHER))
            return None if path is None else fingerprint(path)
        return self.sources.get(key)

    def stale(self, made: Facts) -> str:
        """Why the tables of a part are not of the present networks and shapes; empty if they are, by what they tell."""
        told = {key: value for key, value in made.items() if key not in TOLD}
        return why(told, {key: self.present(key) for key in told})

    def ndf_of(self, name: str) -> Path | None:
        """The NDF of another experiment."""
        return best_checkpoint(Experiment(self.cfg.run.exp_root, name).ndf_checkpoints)
