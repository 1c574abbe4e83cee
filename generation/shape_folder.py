"""One folder of shapes: a folder for each, with its cloud and its mesh, and one index that everything else obeys.

`made_of.json` says what each file is made of, in the folder of a shape and in the whole one; a file that none of them
lists is the user's, and is neither deleted nor overwritten. `index.json` lists the shapes of the latest run: others may
lie there from earlier runs, and are not shown, measured or compared.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from configs.decided import options_of
from generation.decoded_shape import DecodedShape
from generation.former_folders import FORMER, adopt
from generation.meshing import MESHED_BY
from generation.networks import Networks
from generation.plausible_codes import BROUGHT_BACK, FACTS
from generation.projection import FOUND_BY
from generation.room import check_room_for_clouds
from generation.shapes import Shapes
from models.distance_network import WITHOUT_CODE
from runtime.artefacts import Facts, Records, digest, note_made_again, plain
from runtime.errors import UserError
from runtime.files import write_json
from runtime.layout import CONTACT_SHEET, DENSE_POINT_CLOUD, INDEX, MESH
from runtime.locks import only_run, refuse_while_held
from runtime.reading import DamagedFile, read_json

CLOUD_FILES = (DENSE_POINT_CLOUD, Path(DENSE_POINT_CLOUD).with_suffix(".ply").name)
NUMBERS_OF_POINTS = ("num_output_points", "num_completion_points")  # which of them counts, the shapes say
MESHES = "meshes"  # key of the index: what made the meshes beside the clouds, and how large they are
SOURCE = "source"  # key of the index: the meshes or the scan that the shapes come from
LOCK, LOCK_OF_CHUNK = ".generate.lock", ".generate_{}.lock"


class ShapeFolder:
    """The files of some shapes in one folder. They are written while it is `locked`."""

    def __init__(self, networks: Networks, shapes: Shapes, path: Path):
        self.networks, self.cfg, self.shapes, self.path = networks, networks.cfg, shapes, path
        self.numbers = range(len(shapes.names))
        if twice := [name for name, times in Counter(shapes.names).items() if times > 1]:
            raise UserError(f"{twice[0]} would be the folder of two different shapes; ask for one of them alone")
        self._records: dict[int, Records] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises UserError while another run writes there; only chunks of one run may do so side by side."""
        own, others = LOCK, LOCK_OF_CHUNK.format("*")
        if self.cfg.chunks.num_chunks > 1:
            own, others = LOCK_OF_CHUNK.format(self.cfg.chunks.current_chunk), LOCK
        with only_run(self.path / own, "writing shapes there", "give another --out"):
            for other in self.path.glob(others):
                refuse_while_held(other, "writing shapes there", "give another --out")
            adopt(self.path, of_experiment=self.cfg.output.out is None)
            self._check_source()
            yield

    def _check_source(self) -> None:
        """Raise UserError if shapes of these names are there that come from other meshes, or from another scan."""
        there = self._index_there().get(SOURCE)
        if there in (None, self.shapes.source) or self.shapes.source is None:
            return
        for n, name in enumerate(self.shapes.names):
            made = self.records_of(n).made_of("cloud")
            if made and made["shape"] != plain(self.shape_facts(n)):
                raise UserError(
                    f"{self.path} holds {name} of {there}, {self.shapes.source} found; give another --out, or delete it"
                )

    @cached_property
    def records(self) -> Records:
        """Of what concerns all shapes: the index, the sheet, the page, movies of several."""
        return Records(self.path, durable=True)

    def records_of(self, n: int) -> Records:
        """Of the files in the folder of shape n."""
        if n not in self._records:
            self._records[n] = Records(self.path / self.shapes.names[n], durable=True)
        return self._records[n]

    def cloud(self, n: int) -> Path:
        return self.path / self.shapes.names[n] / DENSE_POINT_CLOUD

    @property
    def chunk(self) -> range:
        """The numbers of the shapes that this run makes."""
        return self.cfg.chunks.part_of(len(self.numbers)) if self.shapes.total is None else self.numbers

    def code_facts(self, n: int) -> Facts:
        """What decides the code of shape n, and where the shape lies."""
        kind = {"kind": self.shapes.kind, "number": self.shapes.number(n)}
        return {**self.networks.digests, **kind, "shape": self.shape_facts(n)}

    def shape_facts(self, n: int) -> Facts:
        own = self.shapes.facts[n] if self.shapes.facts else {}
        return {**own, **self.shapes.about}

    def cloud_facts(self, n: int) -> Facts:
        return {**self.code_facts(n), **self._cloud_options()}

    def _cloud_options(self) -> Facts:
        options = options_of("cloud", self.cfg, left_out=NUMBERS_OF_POINTS)
        return {"num_points": self.shapes.num_points} | FOUND_BY | options

    def mesh_facts(self, n: int) -> Facts:
        formats = {"mesh_formats": sorted(self.cfg.meshes.mesh_formats)}
        return {"code": digest(self.code_facts(n)), **options_of("mesh", self.cfg), **formats, **MESHED_BY}

    def mesh_made(self, n: int) -> Facts | None:
        """What the mesh of shape n is made of, with whatever options, if it is of the shape's code."""
        made = self.records_of(n).made_of("mesh")
        return made if made and made["code"] == digest(self.code_facts(n)) else None

    def facts_of_files(self) -> list[Any]:
        """Names, clouds and meshes, in short: whatever shows them all is made of this."""
        return [[self.shapes.names[n], digest(self.cloud_facts(n)), self.mesh_made(n)] for n in self.numbers]

    def make(self) -> tuple[int, int]:
        """Make the clouds that are not current, with `mesh` the meshes, and the index; of a chunk its clouds and meshes
        alone. Returns how many clouds and meshes were made.
        """
        chunk = self.chunk
        clouds = {n: self.records_of(n).why("cloud", self.cloud_facts(n)) for n in chunk}
        meshes = {n: self.records_of(n).why("mesh", self.mesh_facts(n)) for n in chunk} if self.cfg.meshes.mesh else {}
        made = sum(map(bool, clouds.values())), sum(map(bool, meshes.values()))
        if any(made):
            self._check_free(clouds, meshes)
            check_room_for_clouds(self.shapes.num_points, made[0], self.path)
            note_made_again(clouds, "clouds")
            note_made_again(meshes, "meshes")
            lacking = [n for n in chunk if clouds[n] or meshes.get(n)]
            for n in tqdm(lacking, desc=self.shapes.kind.replace("_", " "), unit="shape", disable=None):
                self._make_shape(n, bool(clouds[n]))
        if self.cfg.chunks.num_chunks == 1:
            self._write_index()
        return made

    def _make_shape(self, n: int, lacks_cloud: bool) -> None:
        """The cloud of shape n and, with `mesh`, its mesh, of one field."""
        records = self.records_of(n)
        decoded = DecodedShape(self.networks, self.shapes, n, records.folder, stored=not lacks_cloud)
        _ = decoded.field  # what it needs may be gone: nothing is deleted before
        for unfinished in ("index", FORMER):  # the index is there when all that it lists is
            self.records.forget(unfinished)
        if lacks_cloud:
            for other in records.entries.keys() - {"cloud"} - ({"mesh"} if self.mesh_made(n) else set()):
                records.forget(other)  # which shows another cloud
            records.make("cloud", self.cloud_facts(n), CLOUD_FILES, decoded.write_cloud)
        if self.cfg.meshes.mesh:
            records.make("mesh", self.mesh_facts(n), self._mesh_files(), decoded.write_mesh)

    def _mesh_files(self) -> list[str]:
        return [f"{MESH}.{ending}" for ending in self.cfg.meshes.mesh_formats]

    def _check_free(self, clouds: Mapping[int, str], meshes: Mapping[int, str]) -> None:
        """Raise UserError, before anything is made, if a file of the user's would be overwritten."""
        self.records.check_free([INDEX, CONTACT_SHEET])
        for n in clouds:
            self.records_of(n).check_free(CLOUD_FILES if clouds[n] else ())
            self.records_of(n).check_free(self._mesh_files() if meshes.get(n) else ())

    def without_surface(self) -> list[str]:
        """The names of the shapes whose fields have none, and which therefore have no mesh."""
        empty = [n for n in self.numbers if self.mesh_made(n) and self.records_of(n).found("mesh") is None]
        return [self.shapes.names[n] for n in empty]

    def _index_there(self) -> Facts:
        """What an index of ours says; nothing, if there is none that is whole."""
        try:
            return read_json(self.path / INDEX) if self.records.made_of("index") else {}
        except DamagedFile:
            return {}

    def _write_index(self) -> None:
        index = plain(self._index())
        if self._index_there() != index:
            self.records.forget("index")
        write = partial(write_json, self.path / INDEX, index, durable=True)
        self.records.make("index", {"content": digest(index)}, [INDEX], write)

    def _index(self) -> Facts:
        """The shapes, what decides them, and what was found."""
        ndf, shapes = self.networks.ndf, self.shapes
        found = {name: self.records_of(n).found("cloud") for n, name in enumerate(shapes.names)}
        index = {
            **self.networks.sources,
            "kind": shapes.kind,
            SOURCE: shapes.source,
            "code_kind": ndf.code_kind,
            "code_shape": None if ndf.code_kind in WITHOUT_CODE else list(ndf.code_shape),
            **self._cloud_options(),
            "shapes": shapes.names,
            "facts": list(shapes.facts),
            **shapes.about,
            **shapes.told_in_index,
        }
        if "plausible" in shapes.about:
            back = {name: {key: one[key] for key in FACTS} for name, one in found.items() if FACTS[0] in one}
            index[BROUGHT_BACK] = back
        meshes = {n: made for n in self.numbers if (made := self.mesh_made(n))}
        if meshes:
            options = {"resolution": "mesh_resolution", "formats": "mesh_formats"}
            options |= {"faces": "mesh_faces", "thickness": "thicken"}  # meshes of former versions lack these
            index[MESHES] = {
                "options": {key: next(iter(meshes.values())).get(name) for key, name in options.items()},
                "shapes": {shapes.names[n]: self.records_of(n).found("mesh") for n in meshes},
            }
        return index
