"""A stand-in for ShapeNetCore.v2's cars, for those who have none: its layout, its number of shapes, its troubles.

`plan` says what each shape of a seed is, `troubles` spoils its mesh, `wavefront` writes it as ShapeNet's files are,
`make` makes the folder, `needs` measures steps 1 and 2 on it. None of ShapeNet's data are in it, and its shares of
large meshes and of troubles are chosen, not measured on ShapeNet.
"""
