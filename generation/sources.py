"""What `generate.py` is asked to make: the one place that knows its modes."""

from pathlib import Path

from generation.networks import Networks
from generation.room import check_room_for_samples
from generation.shapes import Shapes


def shapes_of(networks: Networks) -> Shapes:
    """The shapes of `mode`, or of the meshes that `own_meshes` names."""
    cfg = networks.cfg
    if cfg.own_meshes.own_meshes:
        from generation.reconstructions import reconstructed_meshes

        return reconstructed_meshes(networks)
    if cfg.generation.mode == "sample":
        from generation.sampling import sampled

        check_room_for_samples(cfg, Path(cfg.output.out).expanduser() if cfg.output.out else cfg.experiment.generation)
        return sampled(networks, cfg.generation.num_shapes, cfg.run.seed)
    if cfg.generation.mode == "edit":
        from generation.editing import edited

        return edited(networks)
    from generation.reconstructions import interpolated, reconstructed

    return (interpolated if cfg.generation.mode == "interpolate" else reconstructed)(
        networks, num=cfg.generation.num_shapes
    )
