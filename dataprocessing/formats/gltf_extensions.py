"""Which extensions of glTF are applied, which mean no surface, and which are refused by their name."""

from dataprocessing.formats.gltf_document import Document

DRACO, QUANTIZATION, INSTANCING = "KHR_draco_mesh_compression", "KHR_mesh_quantization", "EXT_mesh_gpu_instancing"
VISIBILITY, LOD = "KHR_node_visibility", "MSFT_lod"
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
APPLIED = {DRACO, QUANTIZATION, INSTANCING, VISIBILITY, LOD}

# Of materials, lights, sounds, animation and descriptions: none moves, adds or hides a surface as the file stands.
NO_SURFACE = (
    "KHR_materials_", "EXT_materials_", "ADOBE_materials_", "MSFT_packing_", "KHR_texture_", "EXT_texture_",
    "MSFT_texture_", "KHR_lights_", "EXT_lights_", "KHR_xmp", "KHR_audio", "KHR_animation_pointer", "KHR_techniques_",
    "KHR_node_selectability", "KHR_node_hoverability", "KHR_physics_", "KHR_implicit_shapes", "KHR_interactivity",
    "EXT_structural_metadata", "EXT_mesh_features", "EXT_feature_metadata", "EXT_instance_features",
    "EXT_mesh_manifold", "EXT_mesh_primitive_edge_visibility", "CESIUM_primitive_outline", "FB_ngon_encoding",
    "VRM", "GODOT_", "OMI_",
)  # fmt: skip

CHANGED_BY = {"CESIUM_RTC", "AGI_articulations", "EXT_primitive_voxels", "KHR_mesh_primitive_restart"}


def check_extensions(document: Document) -> None:
    """Raise ValueError for an extension without which the surface is another one, and that is not applied.

    One that the file doesn't require may be passed over, as the format says, unless it is known to change surfaces.
    Packed data (EXT_meshopt_compression) is refused where it is met: there may be a plain twin of it.
    """
    used, required = _names(document, "extensionsUsed"), _names(document, "extensionsRequired")
    for name in [*required, *(name for name in used if name in CHANGED_BY)]:
        if name not in APPLIED and name not in MESHOPT and not name.startswith(NO_SURFACE):
            raise ValueError(f"it needs the extension {name[:60]!r} of glTF, which is not known here; save it without")


def _names(document: Document, key: str) -> list[str]:
    names = document.all(key)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"damaged: {key} is no list of names")
    return names
