# PYTHON_ARGCOMPLETE_OK
"""Step 6: dense point clouds: new shapes (default), test shapes or own meshes from their codes, a path, or edits."""

from configs.config_loader import get_config
from runtime.errors import run
from runtime.streams import printable


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 if a mesh of `--own_meshes` could not be used."""
    cfg = get_config(argv, "generate")

    from generation.networks import Networks
    from generation.products import make_products
    from generation.sources import shapes_of

    networks = Networks(cfg, alone=cfg.generation.mode == "reconstruct" or bool(cfg.own_meshes.own_meshes))
    shapes = shapes_of(networks)
    for sentence in make_products(networks, shapes):
        print(printable(sentence))
    return shapes.status


if __name__ == "__main__":
    run(main)
