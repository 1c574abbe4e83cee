"""Put what all stages left into one table: `python lab/gpu/report.py STAGES_FOLDER --config ...`.

Prints it, and writes EXPERIMENT/report.txt and report.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

from configs.config_loader import get_config
from configs.options import Config
from runtime.errors import run
from runtime.files import write_json, write_text
from runtime.layout import RESULTS


def main(argv: list[str] | None = None) -> int:
    stages, *rest = sys.argv[1:] if argv is None else argv
    cfg = get_config(rest)
    root = cfg.experiment.root
    report = {
        "stages": read_stages(Path(stages)),
        "training_plan": read_json(root / "training_plan.json"),
        "measurements": read_json(root / "measurements.json"),
        "evaluation": read_json(cfg.experiment.evaluation / f"{RESULTS}.json").get("tables", {}),
    }
    text = "\n".join(as_lines(report, cfg)) + "\n"
    markdown = cfg.experiment.evaluation / f"{RESULTS}.md"
    text += "\n" + markdown.read_text() if markdown.is_file() else "\nnot evaluated yet\n"
    write_text(root / "report.txt", text)
    write_json(root / "report.json", report | {"config": cfg.values()})
    print(text)
    return 0


def read_stages(folder: Path) -> dict[str, dict[str, Any]]:
    """Seconds and outcome of each stage, in the order in which they began."""
    found = {}
    for path in sorted(folder.glob("*.done"), key=lambda path: path.stat().st_mtime_ns):
        seconds, outcome = path.read_text().split(maxsplit=1)
        found[path.stem] = {"seconds": float(seconds), "outcome": outcome.strip()}
    return found


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def as_lines(report: dict[str, Any], cfg: Config) -> list[str]:
    """The table: name and value, one a line."""
    rows: list[tuple[str, Any]] = [("experiment", cfg.run.exp_name)]
    rows += [(f"stage {name}", f"{one['seconds']:.0f} s, {one['outcome']}") for name, one in report["stages"].items()]
    plan = report["training_plan"]
    rows += [
        (
            f"NDF training, batch {row['batch_size']}",
            f"{row['shapes_per_second']:.2f} shapes/s" + (f", {row['peak_gb']:.1f} GB" if row["peak_gb"] else ""),
        )
        for row in plan.get("batches", [])
    ]
    rows += [(f"chosen {name}", plan[name]) for name in ("batch_size", "num_epochs") if name in plan]
    rows += list(report["measurements"].items())
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {shown(value)}" for name, value in rows]


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


if __name__ == "__main__":
    run(main)
