"""What files are made from, and so whether they are up to date: one rule for all of them.

An artefact (samples, codes, a cloud, a page) is made from facts: options, and digests of its inputs, by content and
never by path. The facts are kept beside it, by `Records` for the files of a folder, or inside an .npz of our own
(`kept_arrays`). It is current where they are those that are wanted, and its files are there; else it is made again, and
a sentence says why. So nothing is made again where data or experiment have only moved.

Which options decide which artefact: `configs.decided`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runtime.errors import UserError, note, one_line
from runtime.files import write_json, write_npz
from runtime.reading import DamagedFile, naming_file, open_npz, read_json

if TYPE_CHECKING:
    import numpy as np

Facts = dict[str, Any]  # plain values, as json holds them

RECORDS = "made_of.json"
OPTIONS = "options"  # key of the options among the facts of an artefact
NOT_THERE = "not there yet"
MOST_TOLD = 3  # differences


def plain(facts: Any) -> Any:
    """Facts as they come back from json: tuples are lists."""
    return json.loads(json.dumps(facts))


def digest(facts: Any) -> str:
    """SHA-256 of facts, in whatever order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path | str) -> str:
    found = hashlib.sha256()
    with naming_file(path), open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def array_sha256(array: "np.ndarray") -> str:
    """SHA-256 of the numbers of an array, of its shape and type."""
    import numpy as np

    header = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()


def why(made: Facts | None, wanted: Facts) -> str:
    """Why what was made of some facts is not what is wanted, as "num_points 1000 -> 600"; empty if it is."""
    if made is None:
        return NOT_THERE
    found = list(dict.fromkeys(differences(made, plain(wanted))))
    more = f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return ", ".join(found[:MOST_TOLD]) + more


def differences(made: Any, wanted: Any, name: str = "") -> list[str]:
    """Each fact that differs, in words. Digests and long values are only called changed."""
    if isinstance(made, dict) and isinstance(wanted, dict):
        names = list(dict.fromkeys([*wanted, *made]))
        found = [
            differences(made.get(one), wanted.get(one), name if name in ("", OPTIONS) and one == OPTIONS else one)
            for one in names
        ]
        return [words for part in found for words in part]
    if made == wanted:
        return []
    if isinstance(made, list) and isinstance(wanted, list) and len(made) != len(wanted) and len(str(wanted)) > 60:
        return [f"{name}: {len(made)} -> {len(wanted)}"]
    words = [json.dumps(value) for value in (made, wanted)]
    if any(len(word) > 60 for word in words):
        return [f"{name} changed"]
    return [f"{name} {words[0]} -> {words[1]}"]


def entry_of(of: Facts, files: Sequence[str] = (), found: Any = None, finished: bool = True) -> Facts:
    """An entry of `Records`, as json holds it."""
    return {"of": plain(of), "files": list(files), "found": plain(found), "finished": finished}


def _is_inside(name: Any) -> bool:
    """Whether this names a file of a folder, or below it: a record of others could name any file."""
    path = PurePath(name)  # TypeError if it is none
    return not path.is_absolute() and ".." not in path.parts


class Records:
    """What the artefacts of a folder are made of, kept in it as `made_of.json`: artefact -> of, files, found, finished.

    of: the facts; files: their names in the folder; found: what turned up while it was made, which decides nothing.
    Before an artefact is begun its files are noted, so that after a killed run they are known to be no user's. A
    damaged record is none.
    """

    def __init__(self, folder: Path, name: str = RECORDS, durable: bool = False):
        self.folder, self.path, self.durable = folder, folder / name, durable
        self.entries: dict[str, Any] = {}
        try:
            entries = read_json(self.path)
            if all(isinstance(one["of"], dict) and all(map(_is_inside, one["files"])) for one in entries.values()):
                self.entries = entries
        except (DamagedFile, KeyError, TypeError):
            pass

    def made_of(self, artefact: str) -> Facts | None:
        """The facts of an artefact that is finished."""
        entry = self.entries.get(artefact)
        return entry["of"] if entry and entry.get("finished") else None

    def found(self, artefact: str) -> Any:
        return self.entries[artefact]["found"]

    def files(self) -> set[str]:
        """The files of all artefacts, by name."""
        return {name for entry in self.entries.values() for name in entry["files"]}

    def why(self, artefact: str, wanted: Facts) -> str:
        """Why an artefact has to be made, in words; empty if it is current."""
        made = self.made_of(artefact)
        if made is None:
            return NOT_THERE
        if reason := why(made, wanted):
            return reason
        lacking = [name for name in self.entries[artefact]["files"] if not (self.folder / name).is_file()]
        return f"{lacking[0]} is gone" if lacking else ""

    def make(self, artefact: str, wanted: Facts, files: Sequence[str], maker: Callable[[], Any]) -> str:
        """Make an artefact unless it is current. Returns why it was made, as `why` does; empty if it was not.

        files: their names in the folder, of which `maker` writes some or all, each under a spare name that it renames.
        What it returns is kept as found. Files of former facts are deleted first. Raises UserError if a file of that
        name is there that no record tells of: it is the user's.
        """
        reason = self.why(artefact, wanted)
        if reason:
            self.check_free(files)
            self.forget(artefact)
            self.put({artefact: entry_of(wanted, files, finished=False)})
            found = maker()
            written = [name for name in files if (self.folder / name).is_file()]
            self.put({artefact: entry_of(wanted, written, found)})
        return reason

    def forget(self, artefact: str) -> None:
        """Delete the files of an artefact, and then what is said of them."""
        if artefact in self.entries:
            for name in self.entries[artefact]["files"]:
                if (self.folder / name).is_file():
                    (self.folder / name).unlink()
            del self.entries[artefact]
            self._write()

    def check_free(self, files: Iterable[str], option: str = "--out") -> None:
        """Raise UserError if one of these files is there and not of ours. option: by which another folder is given."""
        ours = self.files()
        for name in files:
            if name not in ours and (self.folder / name).exists():
                raise UserError(
                    f"{self.folder / name} is in the way: it was not made here, and would be overwritten; move it away,"
                    f" or give another {option}"
                )

    def put(self, entries: Mapping[str, Facts]) -> None:
        """Write entries (`entry_of`) at once: of files that are made together, before they are and after."""
        self.entries = dict(sorted({**self.entries, **entries}.items()))
        self._write()

    def _write(self) -> None:
        write_json(self.path, self.entries, self.durable)


def kept_arrays(
    path: Path,
    wanted: Facts,
    make: Callable[[], Mapping[str, "np.ndarray"]] | None = None,
    durable: bool = False,
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> dict[str, "np.ndarray"] | None:
    """The arrays of an .npz of ours, which holds what it is made of as the json text `index`.

    Where it is not there, damaged or made of other facts: those that `make` gives, which are written; None without it.
    shapes: of arrays that are damaged unless they have this shape, and are finite.
    """
    import numpy as np

    text = json.dumps(plain(wanted), sort_keys=True)
    try:
        with open_npz(path) as file:
            if str(file["index"]) == text:
                arrays = {name: file[name] for name in file if name != "index"}
                known = ((arrays[name], shape) for name, shape in shapes.items())
                if all(array.shape == shape and np.isfinite(array).all() for array, shape in known):
                    return arrays
    except DamagedFile:
        pass  # none, or not whole: read to its end, it shows by the check sum
    if make is None:
        return None
    arrays = dict(make())
    write_npz(path, durable=durable, **arrays, index=np.array(text))
    return arrays


def note_made_again(reasons: Mapping[Any, str], what: str) -> None:
    """Say in one line why several things are made again. reasons: of each, as `Records.why` gives them."""
    again = [reason for reason in reasons.values() if reason not in ("", NOT_THERE)]
    if again:
        note(f"{len(again)} {what} made again: {one_line(max(set(again), key=again.count))}")
