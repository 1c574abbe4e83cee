"""Compare ways to edit attributes: `python -m evaluation.editing.compare --config ...` writes two tables.

Samples of the flow are edited, decoded, encoded again and read. Needs the weights and their attributes, no data.
"""

from typing import Any

import numpy as np
import torch

from configs.config_loader import get_config
from evaluation.editing.fit import check_editable
from evaluation.editing.ways import all_ways
from evaluation.report import text_of, write_results
from evaluation.study import Result
from evaluation.tables import Column, Table
from generation.decode import decode_each
from generation.editing.attributes import LEAST_R2, Array, Attribute, Attributes, load_attributes
from generation.editing.report import others_moved
from generation.latents import distances_from_base, likelihoods
from generation.networks import Networks
from generation.sampling import sampled_codes
from runtime.errors import UserError, run
from training.encoding import encode_batches

NUMBERS = ("length", "height", "wheel_radius", "screen_rake")  # each by -STEP and STEP
SWITCHES = ("windows", "furnished", "top")  # each to the other value
STEP = 1.0  # standard deviations
NAME = "edits"
WAY_COLUMNS = [
    Column("set", "way"),
    Column("achieved", "achieved", ".2f"),
    Column("achieved_again", "decoded", ".2f"),
    Column("others", "others", ".2f"),
    Column("others_again", "decoded", ".2f"),
    Column("switched", "switched %", ".0f", 100),
    Column("switched_again", "decoded", ".0f", 100),
    Column("nats", "nats", ".1f"),
    Column("nats_worst", "worst", ".1f"),
    Column("z_norm", "distance", ".1f"),
]
WAY_NOTE = (
    "Achieved: change of the edited number, as a share of the {step:g} standard deviation that was asked for, read from"
    " the code and from the code of the decoded cloud. Others: rms change of all other known attributes, in standard"
    " deviations (the shape decoded again with other points: {floor:.2f}). Switched: share of the switches that are"
    " read as asked. Nats: change of the log-likelihood, mean and worst. Distance from the"
    " flow's base: mean; of the unedited codes {norm:.1f}."
    " {count} samples, {edits} edits for each way."
)
LEAK_COLUMNS = [
    Column("set", "attribute"),
    Column("r2", "R2", ".2f"),
    Column("achieved", "achieved", ".2f"),
    Column("achieved_again", "decoded", ".2f"),
    Column("others", "others", ".2f"),
    Column("others_again", "decoded", ".2f"),
    Column("leaks", "most moved others, decoded"),
    Column("nats", "nats", ".1f"),
]


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "compare")
    networks = Networks(cfg)
    check_editable(networks)
    attributes = load_attributes(cfg, networks.sources["ndf_sha256"])
    known = [one for name in (*NUMBERS, *SWITCHES) if (one := attributes.by_name.get(name)) and one.r2 >= LEAST_R2]
    if not known:
        raise UserError(f"codes know none of {', '.join((*NUMBERS, *SWITCHES))}; there is nothing to compare")
    study = Study(networks, attributes, known)
    rows, leaks = [], []
    for name, way in all_ways(networks, attributes).items():
        found = study.edits(name, way)
        rows.append({"set": name, **means(found)})
        leaks = [leak_row(attributes, one, [edit for edit in found if edit["attribute"] is one]) for one in known]
    note = WAY_NOTE.format(
        step=STEP, floor=study.floor, norm=study.z_norm, count=len(study.codes), edits=len(study.codes) * study.width
    )
    tables = [
        Table(NAME, "Ways to edit attributes of sampled shapes", WAY_COLUMNS, rows, note),
        Table(f"{NAME}_leakage", f"Leakage of each edit: {rows[-1]['set']}", LEAK_COLUMNS, leaks, ""),
    ]
    folder = networks.experiment.analysis
    results = {NAME: Result(tables, {}, {})}
    write_results(folder, NAME, cfg, results, {"checkpoints": networks.sources})
    print(text_of(results))
    print(f"results: {folder / NAME}.json, .csv, .md")
    return 0


class Study:
    """Samples of the flow, what they read as, and their edits. width: edits of each shape."""

    def __init__(self, networks: Networks, attributes: Attributes, known: list[Attribute]):
        cfg = networks.cfg
        self.networks, self.attributes, self.known = networks, attributes, known
        self.codes = sampled_codes(networks, cfg.num_edited, cfg.seed)
        self.read = attributes.read(self.codes.cpu().numpy())
        self.again, twice = (self.decoded(self.codes, "samples", first) for first in (0, cfg.num_edited))
        scaled = (twice - self.again) / attributes.scales
        self.floor = float(np.sqrt(np.mean(scaled[:, known_columns(attributes)] ** 2)))
        self.log_likelihood = likelihoods(networks, self.codes)[0]
        self.z_norm = distances_from_base(networks, self.codes).mean().item()
        self.width = sum(2 if one.is_number else 1 for one in known)

    def decoded(self, codes: torch.Tensor, description: str, first: int = 0) -> Array:
        """Readings of the codes of decoded clouds."""
        cfg, networks = self.networks.cfg, self.networks
        clouds = decode_each(networks, codes.split(1), cfg.num_points, description, first)
        found = encode_batches(networks.ndf, clouds, len(codes), cfg, networks.device, f"{description} again")
        return self.attributes.read(np.concatenate(list(found)))

    def edits(self, name: str, way: Any) -> list[dict[str, Any]]:
        """All edits of all samples by one way, with what is read of them."""
        found: list[dict[str, Any]] = []
        for n, code in enumerate(self.codes.split(1)):
            for attribute in self.known:
                for sign, aim in self.aims(attribute, self.read[n][attribute.columns]):
                    edit: dict[str, Any] = {"attribute": attribute, "start": n, "sign": sign, "aim": aim}
                    found.append(edit | {"code": way(code, attribute, aim)})
        codes = torch.cat([edit["code"] for edit in found])
        read, again = self.attributes.read(codes.cpu().numpy()), self.decoded(codes, name)
        values = likelihoods(self.networks, codes)[0], distances_from_base(self.networks, codes)
        for k, edit in enumerate(found):
            start = edit["start"]
            edit["read"], edit["again"] = read[k], again[k]
            edit["change"], edit["change_again"] = read[k] - self.read[start], again[k] - self.again[start]
            edit["nats"] = (values[0][k] - self.log_likelihood[start]).item()
            edit["z_norm"] = values[1][k].item()
            edit["others"], edit["others_again"] = (
                others_moved(self.attributes, edit["attribute"], edit[key]) for key in ("change", "change_again")
            )
            edit |= outcome(edit)
        return found

    def aims(self, attribute: Attribute, own: Array) -> list[tuple[float, Array]]:
        """(sign, reading) of each edit: a number less and more, a switch to the value that it is not read as."""
        if attribute.is_number:
            return [(sign, own + sign * STEP * attribute.sd) for sign in (-1.0, 1.0)]
        return [(0.0, np.array(attribute.readings[farthest(attribute, own)]))]


def outcome(edit: dict[str, Any]) -> dict[str, Any]:
    """achieved: share of the change of a number that was asked for; switched: whether a switch is read as asked."""
    attribute: Attribute = edit["attribute"]
    found: dict[str, Any] = {}
    for end in ("", "_again"):
        if attribute.is_number:
            change = edit[f"change{end}"][attribute.first]
            found[f"achieved{end}"] = float(edit["sign"] * change / (STEP * attribute.sd))
        else:
            read = edit[end.removeprefix("_") or "read"][attribute.columns]
            wanted = farthest(attribute, read)
            found[f"switched{end}"] = not np.array_equal(attribute.readings[wanted], edit["aim"])
    return found


def farthest(attribute: Attribute, reading: Array) -> str:
    """The value of a choice whose cars read least alike."""
    return max(attribute.readings, key=lambda value: float(np.sum((reading - attribute.readings[value]) ** 2)))


def known_columns(attributes: Attributes) -> list[int]:
    known = [one for one in attributes.by_name.values() if one.r2 >= LEAST_R2]
    return [k for one in known for k in range(one.first, one.first + one.width)]


def means(edits: list[dict[str, Any]]) -> dict[str, float | None]:
    """Means over edits; nats_worst: the least."""
    found: dict[str, float | None] = {}
    for key in ("achieved", "achieved_again", "others", "others_again", "switched", "switched_again", "nats", "z_norm"):
        values = [edit[key] for edit in edits if key in edit]
        found[key] = float(np.mean(values)) if values else None
    return found | {"nats_worst": min(edit["nats"] for edit in edits)}


def leak_row(attributes: Attributes, edited: Attribute, edits: list[dict[str, Any]]) -> dict[str, Any]:
    """Means of one attribute's edits, and which others move most in decoded clouds (rms, in standard deviations)."""
    moves = {
        other.name: float(
            np.sqrt(np.mean([(edit["change_again"] / attributes.scales)[other.columns] ** 2 for edit in edits]))
        )
        for other in attributes.by_name.values()
        if other.r2 >= LEAST_R2 and other.name != edited.name
    }
    most = sorted(moves, key=lambda name: -moves[name])[:3]
    leaks = ", ".join(f"{name} {moves[name]:.2f}" for name in most)
    return {"set": edited.name, "r2": edited.r2, "leaks": leaks, **means(edits)}


if __name__ == "__main__":
    run(main)
