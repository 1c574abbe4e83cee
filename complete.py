# PYTHON_ARGCOMPLETE_OK
"""Whole shapes from a partial scan, with their log posterior under the flow (docs/completion.md)."""

from configs.config_loader import get_config
from runtime.errors import UserError, run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "complete")
    if cfg.completion.scan is None:
        raise UserError("no --scan given; name the file of the partial scan")

    from evaluation.completion import report
    from generation.completion.source import completed
    from generation.networks import Networks
    from generation.products import make_products

    networks = Networks(cfg)
    shapes, scan, truth = completed(networks)
    shapes.report = lambda folder: report(folder, scan, truth)
    for sentence in make_products(networks, shapes):
        print(sentence)
    return 0


if __name__ == "__main__":
    run(main)
