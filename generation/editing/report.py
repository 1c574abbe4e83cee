"""What became of edits: the attribute and all others, read from the codes and again from the decoded clouds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generation.cloud_files import read_cloud
from generation.editing.attributes import Array, Attribute, Attributes
from generation.editing.edited_codes import EditedCodes
from generation.latents import distances_from_base, likelihoods
from generation.shape_folder import ShapeFolder
from runtime.artefacts import digest
from runtime.files import write_json
from runtime.reading import open_npz
from training.encoding import encode_batches

REPORT = "edits.json"


def report(codes: EditedCodes, folder: ShapeFolder) -> Iterator[str]:
    """Write `edits.json` of the clouds in a folder, decoded from the codes of `edited`; yields its rows as text."""
    attribute = codes.attribute
    about = {"attribute": attribute.name, "r2": attribute.r2, "largest_z_norm": codes.radius}
    about |= {"mean": attribute.mean, "sd": attribute.sd}

    def write() -> list[dict[str, Any]]:
        rows = edit_rows(codes, folder)
        write_json(folder.path / REPORT, about | {"shapes": rows})
        return rows

    of = {"clouds": [digest(folder.cloud_facts(n)) for n in folder.numbers], "num_points": folder.cfg.grid.num_points}
    folder.records.make("report", of, [REPORT], write)
    yield as_text(folder.records.found("report"), attribute)


def edit_rows(codes: EditedCodes, folder: ShapeFolder) -> list[dict[str, Any]]:
    """A row for each cloud: what was asked for, what is read, and how much else has changed.

    aim: the reading that was asked for, None to leave the shape as it is. read: of the code; read_again: of the code of
    the decoded cloud. others_...: see `others_moved`. log_likelihood_change: nats.
    """
    cfg, networks = codes.networks.cfg, codes.networks
    files = [folder.cloud(n) for n in folder.numbers]
    clouds = (read_cloud(file)[: cfg.grid.num_points] for file in files)  # which are in random order
    found = encode_batches(networks.ndf, clouds, len(files), cfg, networks.device, "the clouds again")
    again = codes.attributes.read(np.concatenate(list(found)))
    stored = torch.cat([torch.from_numpy(read_code(file)) for file in files]).to(networks.device)
    before = [n - n % len(codes.aims) + first_unchanged(codes) for n in range(len(codes))]
    read, norms = codes.attributes.read(stored.cpu().numpy()), distances_from_base(networks, stored)
    log_likelihoods = likelihoods(networks, stored)[0]
    rows = []
    for n, (fact, start) in enumerate(zip(folder.shapes.facts, before, strict=True)):
        row = {"shape": fact["shape"], "asked": fact["asked"]}
        aim = codes.aim_of(codes.starts[n // len(codes.aims)], codes.aims[n % len(codes.aims)])
        row["aim"] = None if aim is None else in_words(codes.attribute, aim)
        for key, readings in (("read", read), ("read_again", again)):
            row[key] = in_words(codes.attribute, readings[n][codes.attribute.columns])
            row[f"others_{key}"] = others_moved(codes.attributes, codes.attribute, readings[n] - readings[start])
        row["log_likelihood_change"] = (log_likelihoods[n] - log_likelihoods[start]).item()
        rows.append(row | {"z_norm": norms[n].item()})
    return rows


def read_code(cloud: Path) -> np.ndarray:
    """The code (1, D) that a cloud was decoded from."""
    with open_npz(cloud) as file:
        code: np.ndarray = file["code"][None]
    return code


def first_unchanged(codes: EditedCodes) -> int:
    return next(n for n, aim in enumerate(codes.aims) if aim.reading is None and aim.by == 0)


def in_words(attribute: Attribute, reading: Array) -> float | str:
    """A number, or the value whose cars read most alike."""
    if attribute.is_number:
        return float(reading[0])
    return min(attribute.readings, key=lambda value: float(np.sum((reading - attribute.readings[value]) ** 2)))


def others_moved(attributes: Attributes, edited: Attribute, change: Array) -> float:
    """Root mean square change of all other attributes that codes know, in their scales. change: of readings (t,)."""
    held = attributes.held(edited)
    return float(np.sqrt(np.mean((change[held] / attributes.scales[held]) ** 2)))


def as_text(rows: list[dict[str, Any]], attribute: Attribute) -> str:
    """The rows as lines for the terminal."""
    unit = f", mean {attribute.mean:.3g}, standard deviation {attribute.sd:.3g}" if attribute.is_number else ""
    lines = [
        f"{attribute.name} (R2 {attribute.r2:.2f}{unit}); others: rms change in standard deviations",
        f"{'shape':>14}{'asked':>12}{'aim':>10}{'code':>10}{'decoded':>10}{'others':>8}{'decoded':>9}{'nats':>8}",
    ]
    for row in rows:
        words = (_short(row[key]) for key in ("aim", "read", "read_again"))
        lines.append(
            f"{row['shape']:>14}{row['asked']:>12}{''.join(f'{word:>10}' for word in words)}"
            f"{row['others_read']:8.2f}{row['others_read_again']:9.2f}{row['log_likelihood_change']:8.1f}"
        )
    return "\n".join(lines)


def _short(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.3g}"
