"""Step 6: make dense point clouds: new shapes (default), test shapes from their codes, or a path between two shapes."""

from configs.config_loader import get_config
from configs.errors import run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv)

    from models.decoder import Decoder
    from models.generation import Generator, has_flow
    from models.showcase import write_contact_sheet

    if cfg.mode == "reconstruct" and not has_flow(cfg):
        decoder = Decoder(cfg)  # test shapes straight from their input points, without likelihoods
        shapes, folder = decoder.encoded_inputs("test", cfg.num_shapes), decoder.experiment.reconstruction
    else:
        decoder = generator = Generator(cfg)
        experiment = generator.experiment
        if cfg.mode == "sample":
            shapes, folder = generator.sampled(cfg.num_shapes, cfg.seed), experiment.generation
        elif cfg.mode == "reconstruct":
            shapes, folder = generator.reconstructed("test", cfg.num_shapes), experiment.reconstruction
        else:
            shapes, folder = generator.interpolated(cfg.num_shapes), experiment.interpolation
    was_done = decoder.write(shapes, folder, cfg.num_output_points, cfg.mode)
    print(f"{len(shapes.names)} clouds of {cfg.num_output_points} points{' were there already' * was_done}: {folder}")
    sheet = write_contact_sheet(decoder, folder, was_done)
    print(f"pictures: {sheet}")
    return 0


if __name__ == "__main__":
    run(main)
