"""From meshes to samples: steps 0 to 2, scripts that can also be called as functions.

Offers demo cars, exact unsigned distances, the query points and input clouds of each shape, the split, and
`sample_surface` and `surface_points` for points on a mesh.
"""
