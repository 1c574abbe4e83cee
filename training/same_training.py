"""What a training was begun with, compared with what is wanted now, where it goes on or is finished already.

Options of the artefacts `ndf` and `flow` (`runtime/artefacts.py`) are refused where they differ, and so are other
training shapes and other codes. Those of `ndf_best` and `flow_best`, and other validation shapes, let the best
validation value start anew: it is measured otherwise. Differences in those of `ndf_course` and `flow_course` are
printed. What a checkpoint of an earlier version does not record is no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from configs.decided import deciding, options_of
from configs.options import Config
from dataprocessing.frames import front_of
from frozen.loading import check_same_ndf
from models.shape_codes import ARCHITECTURE
from runtime.artefacts import Facts, plain, why
from runtime.errors import UserError
from runtime.reading import reading

Shapes = dict[str, dict[str, str]]  # part of the split, or "extra" -> name -> digest (`shape_digests`)

NO_EXTRAS: Facts = {"options": {"extra_demo_cars": 0}, "extra_meshes": 0, "shapes": {}}  # made of, of no extra codes
NAMES = {"ndf": "an NDF", "flow": "a flow"}
REMEDY = {
    "ndf": "use what it was trained with, or give another --exp_name",
    "flow": "use what it was trained with, delete that folder to train the flow again, or give another --exp_name",
}


class Differences(NamedTuple):
    """In words; empty where there is none. best: why the best validation value starts anew; course: what else."""

    best: str = ""
    course: str = ""


@dataclass(frozen=True)
class TrainingFacts:
    """What a training is to be made of. kind: ndf or flow; codes: of a flow, part -> facts, shapes left out."""

    kind: str
    cfg: Config
    shapes: Shapes = field(default_factory=dict)
    codes: dict[str, Facts] = field(default_factory=dict)

    def entries(self) -> dict[str, Any]:
        """Of its checkpoints, beside the configuration."""
        return {name: value for name, value in (("shapes", self.shapes), ("codes", self.codes)) if value}

    def differences(self, state: dict[str, Any], folder: Path) -> Differences:
        """From the state of a checkpoint of the folder. Raises UserError where that training cannot go on."""
        with reading(folder, "its latest checkpoint does not say what it was trained on"):
            if self.codes:
                now = self.codes["train"]["ndf_sha256"]
                check_same_ndf(state.get("ndf_sha256", "none"), now, f"the flow in {folder}")
            config, shapes = plain(state.get("config", {})), state.get("shapes", {})
            former = state.get("codes", former_codes(state))
            reasons = [why_common(former.get(part, {}), self.codes[part]) for part in self.codes if part != "val"]
            reasons.append(self._options(self.kind, config))
            if shapes and self.shapes:
                trained, extra = ((shapes.get(p, {}), self.shapes.get(p, {})) for p in ("train", "extra"))
                reasons.append(shape_changes("training shapes", *trained, self.shapes.get("test", {})))
                reasons.append(shape_changes("extra meshes", *extra))
            if reason := ", ".join(filter(None, reasons)):
                raise UserError(
                    f"{folder} holds {NAMES[self.kind]} that was trained otherwise: {reason}; {REMEDY[self.kind]}"
                )
            best = [self._options(f"{self.kind}_best", config)]
            if shapes and self.shapes:
                best.append(shape_changes("validation shapes", shapes.get("val", {}), self.shapes.get("val", {})))
            return Differences(", ".join(filter(None, best)), self._options(f"{self.kind}_course", config))

    def _options(self, artefact: str, config: Facts) -> str:
        """How the options that decide an artefact differ, of those that have an effect, and that the config has."""
        return why_common(config, options_of(artefact, self.cfg, left_out=idle(self.cfg.values())))


def facts_of_codes(cfg: Config, made_of: Mapping[str, Facts]) -> TrainingFacts:
    """Those of a flow whose codes are made of these: train, val, test and extra -> facts, with shapes."""
    shapes = {part: facts["shapes"] for part, facts in made_of.items()}
    codes = {part: {name: fact for name, fact in facts.items() if name != "shapes"} for part, facts in made_of.items()}
    return TrainingFacts("flow", cfg, shapes, {part: facts for part, facts in codes.items() if part != "test"})


def former_codes(state: Mapping[str, Any]) -> dict[str, Facts]:
    """What the configuration in the checkpoint of a flow says of its codes, where it does not record them."""
    config = {"extra_demo_cars": 0, **state.get("config", {})}  # before there were any
    if "up" in config:
        config["front"] = front_of(config["up"], config.get("front"))
    sources = state.get("trained_on", {}).get("sources", [])
    codes: dict[str, Facts] = {
        part: {"options": {name: config[name] for name in deciding(artefact) if name in config}}
        for part, artefact in (("train", "codes"), ("extra", "extra_codes"))
    }
    codes["extra"]["extra_meshes"] = sum(source.get("meshes", 0) for source in sources)
    return dict(plain(codes))


def idle(options: Mapping[str, Any]) -> set[str]:
    """The options that have no effect in a training of these: those of other kinds of code, flow or loss."""
    kind, encoder = options["code_kind"], options["code_encoder"]
    without = {
        "code_noise": kind not in ("grid", "vector"),
        "hard_point_candidates": not options["num_hard_points"],
        "pca_dims": encoder != "both",
        "pca_resolution": encoder == "pyramid",
        "pca_view_weight": encoder == "pyramid",
        "flow_dims": kind != "vector",
        "flow_tail_couplings": kind != "vector",
        "flow_scales": kind == "vector",
        "flow_components": options["flow_base"] == "normal",
    }
    of_others = {name for sizes in ARCHITECTURE.values() for name in sizes} - set(ARCHITECTURE[kind]) - {"input_res"}
    return of_others | {name for name, has_none in without.items() if has_none}


def why_common(made: Facts, wanted: Facts) -> str:
    """`why`, of the facts that both have."""
    return why(common(made, wanted), common(wanted, made))


def common(facts: Facts, others: Facts) -> Facts:
    """The facts of those names that others has too, and so on inside of them."""
    return {
        name: common(fact, others[name]) if isinstance(fact, dict) and isinstance(others[name], dict) else fact
        for name, fact in facts.items()
        if name in others
    }


def shape_changes(
    what: str, made: Mapping[str, str], wanted: Mapping[str, str], tested: Mapping[str, str] | None = None
) -> str:
    """How many of some shapes (name -> digest) are gone, new or changed, in words; empty if they are the same.

    tested: those of the test part, among which some of `made` may be now.
    """
    if made == wanted:
        return ""
    counts = {
        "gone": len(made.keys() - wanted.keys()),
        "new": len(wanted.keys() - made.keys()),
        "changed": sum(wanted.get(name, digest) != digest for name, digest in made.items()),
        "test shapes now": num_among(tested or {}, made),
    }
    return f"{what}: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def num_among(shapes: Mapping[str, str], others: Mapping[str, str]) -> int:
    """How many of some shapes are among others, by name or by digest."""
    digests = set(others.values())
    return sum(name in others or digest in digests for name, digest in shapes.items())
