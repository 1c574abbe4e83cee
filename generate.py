"""Step 6: make dense point clouds: new shapes (default), test shapes from their codes, a path between two, or edits."""

from configs.config_loader import get_config
from configs.errors import run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "generate")

    from generation.decode import write_shapes
    from generation.editing import edited, report
    from generation.movies import write_movies
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
    elif cfg.mode == "interpolate":
        shapes, folder = interpolated(networks, cfg.num_shapes), experiment.interpolation
    else:
        shapes, folder = edited(networks), experiment.edits / cfg.attribute
    was_done = write_shapes(networks, shapes, folder, cfg.num_output_points, cfg.mode)
    print(f"{len(shapes.names)} clouds of {cfg.num_output_points} points{' were there already' * was_done}: {folder}")
    if sentence := told(folder / "index.json"):
        print(sentence)
    if cfg.mode == "edit":
        print(report(shapes, folder))
    sheet = write_contact_sheet(networks, folder, was_done)
    print(f"pictures: {sheet}")
    if movies := write_movies(networks, folder, was_done):
        print(f"movies: {', '.join(str(path) for path in movies)}")
    return 0


if __name__ == "__main__":
    run(main)
