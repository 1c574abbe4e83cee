"""Folders of shapes of earlier versions, which did not say what their files are made of: these are known to be ours."""

from pathlib import Path

from generation.cloud_files import read_index
from runtime.artefacts import RECORDS, Records, entry_of
from runtime.layout import CONTACT_SHEET, DENSE_POINT_CLOUD, HTML_PAGE, INDEX, MESH
from runtime.reading import DamagedFile

FORMER = "former"  # entry of files of which nothing is known but that they are ours
UNFINISHED = "index_unfinished.json"
OF_ALL = (INDEX, UNFINISHED, CONTACT_SHEET, HTML_PAGE, "edits.json", "completion.json")
MOVIES = ("walk*.gif", "walk*.webp")
OF_EACH = (
    *(DENSE_POINT_CLOUD, "dense_point_cloud.ply", "turntable.gif", "turntable.webp"),
    *(f"{MESH}.{ending}" for ending in ("ply", "glb", "obj")),  # a mesh.stl there is somebody's: none was written
)


def adopt(folder: Path, of_experiment: bool) -> None:
    """Note the files of such a folder as ours, and as to be made again. Others are left alone.

    of_experiment: whether it is an experiment's own, where nobody else writes; then it need not have an index.
    """
    if (folder / RECORDS).is_file():
        return
    index = next((path for path in (folder / INDEX, folder / UNFINISHED) if path.is_file()), None)
    try:
        names = read_index(index)["shapes"] if index and "ndf_sha256" in read_index(index) else None
    except DamagedFile:
        names = None
    if names is None and of_experiment:
        names = [path.parent.name for path in folder.glob(f"*/{DENSE_POINT_CLOUD}")]
    if names is None:
        return
    note_files(folder, [*OF_ALL, *(path.name for pattern in MOVIES for path in folder.glob(pattern))])
    for name in names:
        if not (folder / name / RECORDS).is_file():
            note_files(folder / name, OF_EACH)


def note_files(folder: Path, names: list[str] | tuple[str, ...]) -> None:
    if there := [name for name in names if (folder / name).is_file()]:
        Records(folder).put({FORMER: entry_of({}, there, finished=False)})
