"""From an unsigned distance field to an open triangle mesh: interiors and open borders kept, one skin for a sheet.

`mesh_of` works out the field on a narrow band of a lattice (`lattice`), decides which edges of it the surface crosses
(`crossings`, `sides`), puts a quad around each (`contour`), and moves the vertices onto the surface and its borders
(`refine`). `wall_of` makes a closed wall of a thickness instead; `with_fewer_faces` leaves fewer triangles of either.
"""

from generation.meshing.decimation import with_fewer_faces
from generation.meshing.mesher import MESHED_BY, OpenMesh, mesh_of
from generation.meshing.walls import wall_of

__all__ = ["MESHED_BY", "OpenMesh", "mesh_of", "wall_of", "with_fewer_faces"]
