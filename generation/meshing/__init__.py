"""From an unsigned distance field to an open triangle mesh: interiors and open borders kept, one skin for a sheet.

`mesh_of` works out the field on a narrow band of a lattice (`lattice`), decides which edges of it the surface crosses
(`crossings`), puts a quad around each (`contour`), and moves the vertices onto the surface and its borders (`refine`).
"""

from generation.meshing.mesher import OpenMesh, mesh_of

__all__ = ["OpenMesh", "mesh_of"]
