"""Step 6: make dense point clouds: new shapes (default), test shapes from their codes, or a path between two shapes."""

from configs.config_loader import get_config
from configs.errors import run
from configs.layout import MESH


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "generate")

    from generation.decode import write_shapes
    from generation.networks import Networks
    from generation.plausible_codes import told
    from generation.shapes import interpolated, reconstructed, sampled
    from generation.showcase import write_contact_sheet

    networks = Networks(cfg)
    experiment = networks.experiment
    if cfg.mode == "sample":
        shapes, folder = sampled(networks, cfg.num_shapes, cfg.seed), experiment.generation
    elif cfg.mode == "reconstruct":
        shapes, folder = reconstructed(networks, "test", cfg.num_shapes), experiment.reconstruction
    else:
        shapes, folder = interpolated(networks, cfg.num_shapes), experiment.interpolation
    was_done = write_shapes(networks, shapes, folder, cfg.num_output_points, cfg.mode)
    print(f"{len(shapes.names)} clouds of {cfg.num_output_points} points{' were there already' * was_done}: {folder}")
    if sentence := told(folder / "index.json"):
        print(sentence)
    if cfg.mesh:
        from generation.shape_meshes import write_meshes

        num_made, empty = write_meshes(networks, shapes, folder)
        print(f"{num_made} of {len(shapes.names)} meshes made, the others were there: {folder}/*/{MESH}.*")
        for name in empty:
            print(f"no mesh of {name}: its field has no surface larger than a speck")
    sheet = write_contact_sheet(networks, folder, was_done)
    print(f"pictures: {sheet}")
    return 0


if __name__ == "__main__":
    run(main)
