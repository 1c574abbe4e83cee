# PYTHON_ARGCOMPLETE_OK
"""Step 6: dense point clouds: new shapes (default), test shapes or own meshes from their codes, a path, or edits."""

from configs.config_loader import get_config
from configs.errors import run
from configs.layout import MESH


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 if a mesh of `--own_meshes` could not be used. A chunk makes clouds only, and returns 0."""
    cfg = get_config(argv, "generate")
    if cfg.own_meshes:
        cfg.mode = "reconstruct"

    from dataprocessing.own_meshes import folder_of_clouds, read_own_meshes, tell_left_out
    from generation.decode import chunk_of, write_shapes
    from generation.editing import edited, report
    from generation.movies import write_movies
    from generation.networks import Networks
    from generation.plausible_codes import told
    from generation.sampling import sampled
    from generation.shapes import interpolated, reconstructed, reconstructed_meshes
    from generation.showcase import write_contact_sheet
    from generation.torn_surfaces import told_torn

    networks = Networks(cfg, alone=cfg.mode == "reconstruct")
    experiment = networks.experiment
    own = read_own_meshes(cfg) if cfg.own_meshes else None
    if own:
        tell_left_out(own)
        shapes, folder = reconstructed_meshes(networks, own), folder_of_clouds(cfg)
    elif cfg.mode == "sample":
        shapes, folder = sampled(networks, cfg.num_shapes, cfg.seed), experiment.generation
    elif cfg.mode == "reconstruct":
        shapes, folder = reconstructed(networks, "test", cfg.num_shapes), experiment.reconstruction
    elif cfg.mode == "interpolate":
        shapes, folder = interpolated(networks, cfg.num_shapes), experiment.interpolation
    else:
        shapes, folder = edited(networks), experiment.edits / cfg.attribute
    was_done = write_shapes(networks, shapes, folder, cfg.num_output_points, cfg.mode)
    if cfg.num_chunks > 1:
        made = len(chunk_of(len(shapes.names), cfg))
        print(f"chunk {cfg.current_chunk} of {cfg.num_chunks}: {made} of {len(shapes.names)} clouds are in {folder}")
        print("after all chunks: the same command without --num_chunks and --current_chunk, for the index and pictures")
        return 0
    print(f"{len(shapes.names)} clouds of {cfg.num_output_points} points{' were there already' * was_done}: {folder}")
    if own:
        where = "where the meshes lie, in their axes and units" if cfg.keep_frame else "in the unit box"
        print(f"they lie {where} (--keep_frame {str(cfg.keep_frame).lower()})")
    for sentence in (told(folder / "index.json"), told_torn(folder)):
        if sentence:
            print(sentence)
    if cfg.mesh:
        from generation.shape_meshes import write_meshes

        num_made, empty = write_meshes(networks, shapes, folder)
        others = ", the others were there" if num_made < len(shapes.names) else ""
        print(f"{num_made} of {len(shapes.names)} meshes made{others}: {folder}/*/{MESH}.*")
        for name in empty:
            print(f"no mesh of {name}: its field has no surface larger than a speck")
    if cfg.mode == "edit":
        print(report(shapes, folder))
    sheet = write_contact_sheet(networks, folder, was_done, own)
    print(f"pictures: {sheet}")
    if movies := write_movies(networks, folder, was_done):
        print(f"movies: {', '.join(str(path) for path in movies)}")
    if cfg.html:
        from generation.html_page import write_html
        from generation.nearest_training import training_of

        print(write_html(folder, training_of(cfg)))
    return 1 if own and own.left_out else 0


if __name__ == "__main__":
    run(main)
