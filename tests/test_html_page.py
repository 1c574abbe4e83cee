"""The page of shapes as text: what is packed comes back, names and numbers stay data, bad files are one line."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming

import generate
from configs.options import Config
from generation.cloud_files import write_cloud
from generation.html_page import cloud_paths, main, name_of, write_html
from generation.nearest_training import TrainingClouds, thinned, training_of
from lab.small.known_shapes import sphere_points
from runtime.errors import UserError
from runtime.files import write_npz
from runtime.layout import HTML_PAGE
from visualization.html_page import PageShape, page, write_page
from visualization.html_page.coarse_mesh import coarsened
from visualization.html_page.packing import STEPS, frame_of, octahedral, packed

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028<!--"


def unpacked_normals(both: np.ndarray) -> np.ndarray:
    """As `unpackedNormal` of shaders.js, in numpy."""
    flat = np.stack([both // 256, both % 256], 1) / 127.5 - 1
    z = 1 - np.abs(flat).sum(1)
    folded = (1 - np.abs(flat[:, ::-1])) * np.where(flat < 0, -1, 1)
    normals = np.column_stack([np.where(z[:, None] < 0, folded, flat), z])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


class Blocks(HTMLParser):
    """The script blocks of a page as (attributes, text), and its other tags."""

    def __init__(self, text: str):
        super().__init__()
        self.scripts: list[tuple[dict, str]] = []
        self.tags: list[tuple[str, dict]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append((dict(attributes), ""))
        else:
            self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.inside:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)

    def handle_endtag(self, tag):
        self.inside = False

    @property
    def facts(self) -> dict:
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == "facts")

    def data(self, n: int) -> bytes:
        text = next(text for attributes, text in self.scripts if attributes.get("id") == f"data-{n}")
        return gzip.decompress(base64.b64decode(text))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three generated shapes, 10 the last."""
    for n, name in enumerate(["0", "2", "10"]):
        write_cloud(tmp_path / "made" / name, sphere_points(400, seed=n), log_likelihood=-1234.5 * n, seed=7)
    return tmp_path / "made"


def test_places_and_normals_come_back():
    points = sphere_points(20_000) + [3, -2, 1]
    normals = sphere_points(20_000, radius=1, seed=1)
    frame = frame_of(points)
    values = packed(points, normals, frame).astype(np.int64)
    back = frame.low + values[:, :3] / STEPS * frame.side
    assert np.abs(back - points).max() < 0.51 * frame.side / STEPS + 1e-6  # float32 points near 3
    off = np.degrees(np.arccos(np.clip((unpacked_normals(values[:, 3]) * normals).sum(1), -1, 1)))
    assert 0.2 < off.max() < 0.95


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_normals_along_an_axis_come_back(axis: int, sign: float):
    normal = sign * np.eye(3, dtype=np.float32)[axis : axis + 1]
    first, second = octahedral(normal).T
    assert (unpacked_normals(first * 256 + second) @ normal[0])[0] > 0.9999


def test_what_stands_in_the_page_is_what_was_given(tmp_path: Path):
    box = trimesh.creation.box((0.5, 0.3, 0.9))
    shape = PageShape(
        "a", sphere_points(300), [("log-likelihood", "1")], (box.vertices, box.faces), ("b", sphere_points(50))
    )
    size = write_page(
        tmp_path / "page.html", "two", [shape, PageShape("c", sphere_points(2)[:1], nearest=("d", sphere_points(9)))]
    )
    assert size == (tmp_path / "page.html").stat().st_size
    blocks = Blocks((tmp_path / "page.html").read_text())
    about = blocks.facts["shapes"][0]
    assert (about["count"], about["vertices"], about["faces"]) == (300, 8, 12)
    raw = blocks.data(0)
    assert len(raw) == 8 * 300 + 8 * 8 + 12 * 12 + 300 + 8
    values = np.frombuffer(raw, "<u2", 4 * 300).reshape(-1, 4)
    places = np.array(about["low"]) + values[:, :3] / STEPS * about["side"]
    assert np.abs(np.linalg.norm(places, axis=1) - 0.4).max() < 0.08  # moved onto local planes
    corners = np.frombuffer(raw, "<u2", 4 * 8, offset=8 * 300).reshape(-1, 4)
    np.testing.assert_allclose(
        np.array(about["low"]) + corners[:, :3] / STEPS * about["side"], box.vertices, atol=about["side"] / STEPS
    )
    np.testing.assert_array_equal(np.frombuffer(raw, "<u4", 36, offset=8 * 308).reshape(-1, 3), box.faces)


def test_hostile_names_and_facts_stay_data(tmp_path: Path):
    shapes = [PageShape(HOSTILE, sphere_points(30), [(HOSTILE, HOSTILE)], nearest=(HOSTILE, sphere_points(9)))]
    write_page(tmp_path / "page.html", HOSTILE, shapes)
    text = (tmp_path / "page.html").read_text()
    blocks = Blocks(text)
    assert blocks.facts["title"] == blocks.facts["shapes"][0]["name"] == HOSTILE
    assert "img" not in {tag for tag, _ in blocks.tags} and "<img" not in text
    assert len(blocks.scripts) == 4  # facts, data, library, program
    name = b"\xff<b>".decode("utf-8", "surrogateescape")  # as a file name of no encoding
    write_page(tmp_path / "page.html", name, [PageShape(name, sphere_points(30))])
    assert Blocks((tmp_path / "page.html").read_text()).facts["title"] == name


def test_only_the_pages_own_scripts_may_run_and_nothing_may_load(tmp_path: Path):
    write_page(tmp_path / "page.html", "t", [PageShape("a", sphere_points(30))])
    blocks = Blocks((tmp_path / "page.html").read_text())
    policy = next(values["content"] for _, values in blocks.tags if "http-equiv" in values)
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    run = [text for attributes, text in blocks.scripts if not attributes]
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run}
    assert len(run) == 2 and set(re.findall(r"'sha256-([^']+)'", policy.partition("style-src")[0])) == hashes
    named = {key for _, values in blocks.tags for key in values} | {
        key for values, _ in blocks.scripts for key in values
    }
    assert not named & {"src", "href", "style", "onclick", "onload", "action"}


def test_modules_of_the_page_are_all_joined_and_need_only_those_before_them():
    there = {path.stem for path in (page.SOURCES / "src").glob("*.js")}
    assert there == set(page.MODULES) and len(there) == len(page.MODULES)
    names: list[str] = []
    for n, module in enumerate(page.MODULES):
        text = (page.SOURCES / "src" / f"{module}.js").read_text()
        assert len(text.splitlines()) < 350
        assert all(other in page.MODULES[:n] for other in re.findall(r'^import .* from "\./(\w+)\.js";$', text, re.M))
        names += re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", text, re.M)
    assert len(names) == len(set(names)), "names at the top level are shared by all modules"
    joined = page.joined_modules()
    assert not re.search(r"^(import|export) ", joined, re.M)
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval\(|https?:", joined)


def test_library_is_the_one_whose_source_is_noted():
    found = hashlib.sha256(page.LIBRARY.read_bytes()).hexdigest()
    assert found in page.LIBRARY.with_name("README.md").read_text()
    assert "MIT" in page.LIBRARY.with_name("LICENSE").read_text()


def test_large_pages_show_a_part_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page, "MOST_POINTS", 300)
    monkeypatch.setattr(page, "MOST_FACES", 400)
    ball = trimesh.creation.icosphere(subdivisions=3)
    shapes = [PageShape(str(n), sphere_points(500, seed=n), mesh=(ball.vertices, ball.faces)) for n in range(2)]
    write_page(tmp_path / "page.html", "t", shapes)
    about = Blocks((tmp_path / "page.html").read_text()).facts["shapes"][1]
    assert (about["count"], about["countInFile"]) == (150, 500)
    assert 100 < about["faces"] <= 200 and about["facesInFile"] == 1280


def test_a_coarse_mesh_keeps_its_shape():
    ball = trimesh.creation.icosphere(subdivisions=4)
    vertices, faces = coarsened((ball.vertices, ball.faces), 1500)
    coarse = trimesh.Trimesh(vertices, faces, process=False)
    assert 500 < len(faces) <= 1500
    assert abs(coarse.area / ball.area - 1) < 0.1
    assert coarsened((ball.vertices, ball.faces), 5120)[1] is ball.faces


@pytest.mark.parametrize("points", [np.full((3, 3), np.nan), np.zeros((0, 3)), np.zeros((3, 2))])
def test_points_that_are_none_are_refused(points: np.ndarray, tmp_path: Path):
    with pytest.raises(ValueError, match="finite"):
        write_page(tmp_path / "page.html", "t", [PageShape("a", points)])
    with pytest.raises(ValueError, match="at least one"):
        write_page(tmp_path / "page.html", "t", [])
    assert not list(tmp_path.iterdir())


def test_page_of_a_folder(folder: Path, capsys: pytest.CaptureFixture):
    trimesh.creation.box((0.5, 0.3, 0.9)).export(folder / "2" / "mesh.glb")
    assert main([str(folder)]) == 0
    assert str(folder / "shapes.html") in capsys.readouterr().out
    facts = Blocks((folder / "shapes.html").read_text()).facts
    assert [about["name"] for about in facts["shapes"]] == ["Shape 0", "Shape 2", "Shape 10"]
    assert [about["faces"] for about in facts["shapes"]] == [0, 12, 0]
    assert facts["shapes"][2]["facts"] == [["log-likelihood", "\N{MINUS SIGN}2,469.0 nats"], ["seed", "7"]]
    assert facts["largestDistance"] is None
    assert write_html(folder) == write_html(folder)  # again, over the page itself


def test_loose_files_of_any_system(tmp_path: Path):
    np.save(tmp_path / "b.npy", sphere_points(30))
    np.savez(tmp_path / "a1.npz", points=sphere_points(30))
    write_cloud(tmp_path, sphere_points(30))
    (tmp_path / "note.txt").write_text("no cloud")
    for name in ("b.xyz", "c.PCD", "d.las"):
        (tmp_path / name).touch()
    names = ["a1.npz", "b.npy", "c.PCD", "d.las", "dense_point_cloud.npz"]
    assert [path.name for path in cloud_paths(tmp_path)] == names
    assert name_of(tmp_path / "a1.npz") == "a1"


def test_distances_are_those_to_the_nearest_training_shape(folder: Path, tmp_path: Path):
    for name, radius in (("small", 0.3), ("near", 0.41), ("large", 0.6)):
        np.save(tmp_path / f"{name}.npy", sphere_points(20_000, radius, seed=9))
    (tmp_path / "made" / "x").mkdir()
    assert main([str(folder), "--training", str(tmp_path)]) == 0
    blocks = Blocks((folder / "shapes.html").read_text())
    facts = blocks.facts
    assert {about["nearest"] for about in facts["shapes"]} == {"near"}
    assert 0.01 < facts["largestDistance"] < 0.02
    shown = np.frombuffer(blocks.data(0), np.uint8, 400, offset=8 * 400) / 255 * facts["largestDistance"]
    assert 0.009 < np.median(shown) < 0.013


def test_nearest_is_exact_among_many():
    rng = np.random.default_rng(0)
    clouds = [sphere_points(3000, 0.4, seed=n) * rng.uniform(0.5, 1.2, 3).astype(np.float32) for n in range(40)]
    training = TrainingClouds([str(n) for n in range(40)], [thinned(cloud) for cloud in clouds], lambda n: clouds[n])
    for n in (0, 17, 39):
        name, found = training.nearest(clouds[n] + rng.normal(0, 0.003, (3000, 3)).astype(np.float32))
        assert name == str(n) and found is clouds[n]


@pytest.mark.usefixtures("coarse_lattice", "no_pictures")
def test_generate_writes_it_with_distances_where_training_shapes_are(
    root: Path, cfg: Config, capsys: pytest.CaptureFixture
):
    made = cfg.experiment.generation
    assert generate.main(["--config", cfg.run.config]) == 0
    assert not (made / HTML_PAGE).exists()
    assert generate.main(["--config", cfg.run.config, "--html"]) == 0
    assert str(made / HTML_PAGE) in capsys.readouterr().out
    facts = Blocks((made / HTML_PAGE).read_text()).facts
    assert facts["title"] == "test: generation" and facts["largestDistance"] > 0
    assert all(about["nearest"].startswith("sphere") for about in facts["shapes"])
    assert [label for label, _ in facts["shapes"][0]["facts"]] == ["log-likelihood", "NLL", "torn surface", "seed"]
    Path(cfg.data.split_file).rename(root / "away.npz")  # as with weights that came alone
    try:
        assert training_of(cfg) is None
    finally:
        (root / "away.npz").rename(cfg.data.split_file)
    for folder in (root / "data").iterdir():
        (folder / "model_normalized_scaled.off").unlink()
    assert generate.main(["--config", cfg.run.config, "--html"]) == 0  # then the input clouds do
    assert Blocks((made / HTML_PAGE).read_text()).facts["largestDistance"] > 0


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"point_cloud": np.array([[0, 0, np.nan], [1, 1, 1]])}, "NaN infinite"),
        ({"point_cloud": np.array([[0, 0, np.inf], [1, 1, 1]])}, "NaN infinite"),
        ({"point_cloud": sphere_points(9), "log_likelihood": np.array("</script>")}, "number"),
        ({"point_cloud": sphere_points(9), "log_likelihood": np.zeros(4)}, "number"),
        ({"point_cloud": sphere_points(9), "seed": np.array({}, dtype=object)}, "objects"),
    ],
)
def test_a_bad_file_is_one_line_with_its_name(folder: Path, arrays: dict, words: str):
    np.savez(folder / "10" / "dense_point_cloud.npz", **arrays)
    with pytest.raises(UserError, match=naming(folder / "10", words)) as caught:
        main([str(folder)])
    assert "\n" not in str(caught.value)
    assert not (folder / "shapes.html").exists()


def test_a_likelihood_that_is_none_is_left_out(folder: Path):
    write_npz(folder / "0" / "dense_point_cloud.npz", point_cloud=sphere_points(9), log_likelihood=np.nan)
    write_html(folder)
    assert Blocks((folder / "shapes.html").read_text()).facts["shapes"][0]["facts"] == []


def test_a_bad_mesh_and_bad_folders_are_one_line(folder: Path, tmp_path: Path):
    (folder / "2" / "mesh.ply").write_bytes(b"ply\nformat ascii 1.0\n")
    with pytest.raises(UserError, match=naming(folder / "2" / "mesh.ply")):
        main([str(folder)])
    (tmp_path / "empty").mkdir()
    for words, found in (
        ([str(tmp_path / "empty")], tmp_path / "empty"),
        ([str(tmp_path / "no")], tmp_path / "no"),
        ([], "folder"),
    ):
        with pytest.raises(UserError, match=naming(found)):
            main(words)


def test_a_page_of_somebody_else_stays_and_one_of_ours_is_made_again(tmp_path: Path):
    write_cloud(tmp_path / "car", np.random.default_rng(0).uniform(-0.4, 0.4, (90, 3)))
    (tmp_path / HTML_PAGE).write_text("<html>theirs</html>")
    with pytest.raises(UserError, match=naming(tmp_path / HTML_PAGE)):
        main([str(tmp_path)])
    assert (tmp_path / HTML_PAGE).read_text() == "<html>theirs</html>"
    (tmp_path / HTML_PAGE).unlink()
    for _ in range(2):
        assert main([str(tmp_path)]) == 0
