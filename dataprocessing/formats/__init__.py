"""Readers of mesh files, one file a format: bytes in, polygons out.

What a file announces and a reader cannot apply is refused by its name: no reader ends with another surface than the
file means. Reasons are ValueErrors without the path, which `runtime.reading.reading` adds.
"""

from collections.abc import Callable
from pathlib import Path

from dataprocessing.formats import dae, gltf, obj, off, ply, stl
from dataprocessing.formats.polygons import Polygons

READERS: dict[str, Callable[[bytes, Path], Polygons]] = {
    ".obj": obj.read,
    ".off": off.read,
    ".ply": ply.read,
    ".stl": stl.read,
    ".glb": gltf.read,
    ".gltf": gltf.read,
    ".dae": dae.read,
}
SUFFIXES = tuple(READERS)

# Of files that people have beside or instead of these: what they are, for those that may be shapes.
NOT_READ = {
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".kmz", ".zae"), "an archive"),
    **dict.fromkeys((".usd", ".usda", ".usdc", ".usdz"), "USD"),
    **dict.fromkeys((".step", ".stp", ".p21"), "STEP"),
    **dict.fromkeys((".iges", ".igs"), "IGES"),
    **dict.fromkeys((".wrl", ".vrml", ".x3d"), "VRML or X3D"),
    **dict.fromkeys((".ma", ".mb"), "Maya"),
    **dict.fromkeys((".dxf", ".dwg"), "AutoCAD"),
    **dict.fromkeys((".vtk", ".vtp", ".vtu"), "VTK"),
    **dict.fromkeys((".e57", ".ptx"), "a laser scan"),
    **dict.fromkeys((".md2", ".md3", ".mdl"), "a game's model"),
    ".fbx": "Autodesk FBX",
    ".3ds": "3D Studio",
    ".max": "3ds Max",
    ".blend": "Blender",
    ".c4d": "Cinema 4D",
    ".skp": "SketchUp",
    ".lwo": "LightWave",
    ".3mf": "3MF",
    ".amf": "AMF",
    ".3dm": "Rhino",
    ".sldprt": "SolidWorks",
    ".stpz": "STEP",
    ".pt": "PyTorch",
}
# Materials, pictures, notes and buffers, which are no shapes by themselves.
BESIDE_SHAPES = (
    ".mtl", ".material", ".bin", ".png", ".jpg", ".jpeg", ".tga", ".bmp", ".gif", ".webp", ".dds", ".tif", ".tiff",
    ".psd", ".hdr", ".exr", ".ktx2", ".svg", ".txt", ".md", ".json", ".csv", ".html", ".pdf", ".rtf", ".yaml", ".yml",
    ".xml", ".urdf", ".sdf", ".config", ".log", ".lock", ".py", ".sh", ".js", ".css", ".ini", ".toml", ".binvox",
)  # fmt: skip


def why_not_read(suffix: str) -> str | None:
    """What a file of this ending is, and what to do; None if the ending is not known."""
    if suffix not in NOT_READ:
        return None
    if NOT_READ[suffix] == "an archive":
        return "an archive: unpack it"
    return f"{NOT_READ[suffix]} is not read: save it as .glb, .obj or .ply, as Blender or CloudCompare can"
