"""Step 6: make dense point clouds: new shapes (default), test shapes from their codes, or a path between two shapes."""

from configs.config_loader import get_config
from configs.errors import run


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
    sheet = write_contact_sheet(networks, folder, was_done)
    print(f"pictures: {sheet}")
    if cfg.html:
        from generation.html_page import write_html
        from generation.nearest_training import training_of

        print(write_html(folder, training_of(cfg)))
    return 0


if __name__ == "__main__":
    run(main)
