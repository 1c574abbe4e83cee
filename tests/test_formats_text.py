"""Each kind of fault and dialect of OBJ, OFF and STL: read right, or refused by its name."""

import struct
from pathlib import Path

import pytest
from facts import naming

from dataprocessing.mesh_io import MeshError, load_mesh, triangle_areas

V = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 5 5 5\n"
OFF = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n"
FACET = " facet normal 0 0 1\n  outer loop\n   vertex 0 0 0\n   vertex 1 0 0\n   vertex 0 1 0\n  endloop\n endfacet\n"
STL = f"solid car\n{FACET}endsolid car\n"
BINARY = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 7)  # one facet
BINARY_HEADER = b"solid x".ljust(80) + struct.pack("<I", 1)

HALF = {  # all of them are a triangle of area 0.5
    "mark.obj": "\ufeff" + V + "f 1 2 3\n",
    "backslash.obj": "# from C:\\cars\\\n" + V + "f 1 2 3\n",
    "backslash_in_name.obj": "mtllib C:\\cars\\\ng C:\\\\\n" + V + "f 1 2 3\n",
    "backslash_and_space.obj": V + "f 1 2 \\ \n\\\n3\n",
    "continued_vertex.obj": V.replace("1 0 0", "1 \\\n 0\\\n 0") + "f 1 2 3\n",
    "no_newline.obj": V + "f 1 2 3",
    "indented.obj": "\n\n  " + V.replace("\n", "\n \t") + "f 1 2 3\n",
    "form_feed.obj": V + "\f\ng a\v b\nf 1 2 3\n",
    "upper.obj": V.replace("v", "V") + "VT 0 0\nVN 0 0 1\nF 1 2 3\n",
    "exponents.obj": V.replace("1 0 0", "1.0e+00 0E0 +0.") + "f 1 2 3\n",
    "weights_colours.obj": V.replace("1 0 0", "1 0 0 1").replace("5 5 5", "5 5 5 0.5 0.5 0.5") + "f 1 2 3\n",
    "lines_points.obj": V + "l 1 4\np 4\nf 1 2 3\ncurv 0 1 1 2 4\n",
    "two_corners.obj": V + "f 1 4\nf 1 2 3\n",
    "mixed_signs.obj": "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 -2 3\n" + "v 5 5 5\n",
    "words_of_others.obj": "Made by a tool of 1999\nnewmtl a\nKd 0.5 0.5 0.5\nversion 2\n" + V + "f 1 2 3\n\x1a",
    "comment_after.obj": V + "f 1 2 3 # 4\n",
    "comment_before.off": "# made by a tool\n\n" + OFF + "3 0 1 2\n",
    "mark.off": "\ufeff" + OFF + "3 0 1 2\n",
    "counts_beside.off": OFF.replace("OFF\n", "OFF ") + "3 0 1 2\n",
    "stream.off": (OFF + "3 0 1 2\n").replace("\n", " "),
    "without_edges.off": OFF.replace("3 1 0", "3 1") + "3 0 1 2\n",
    "stream_without_edges.off": OFF.replace("3 1 0", "3 1").replace("1 0 0\n", "1 0 0 ") + "3 0 1 2\n",
    "split_rows.off": OFF.replace("1 0 0\n", "1\n0 0\n") + "3 0\n1 2\n",
    "lower.off": "# by a tool\n" + OFF.lower() + "3 0 1 2\n",
    "counts_a_line_each.off": OFF.replace("3 1 0", "3\n1\n0") + "3 0 1 2\n",
    "padded.off": OFF + "3 0 1 2\n\x1a\0\0",
    "colour.off": OFF + "3 0 1 2 0.5 0.5 0.5 1\n# end\n\n",
    "normals.off": OFF.replace("OFF", "NOFF").replace(" 0\n", " 0 0 0 1\n").replace("3 1 0 0 0 1", "3 1 0") + "3 0 1 2",
    "one_line.stl": STL.replace("\n", " "),
    "named_vertex.stl": STL.replace("car", "vertex colored facet"),
    "end_solid.stl": STL.replace("endsolid", "end solid"),
    "glued.stl": STL.replace("endloop\n endfacet", "endloopendfacet"),
    "upper.stl": STL.upper(),
    "mark.stl": "\ufeff" + STL,
    "mac.stl": STL.replace("\n", "\r"),
    "nan_normal.stl": STL.replace("0 0 1\n", "nan(ind) -1.#IND 1.#QNAN\n", 1),
    "padded.stl": STL + "\0" * 100,
    "dos.stl": STL + "\x1a",
    "no_normal.stl": STL.replace("facet normal 0 0 1", "facet"),
    "no_word_normal.stl": STL.replace("facet normal 0 0 1", "facet 0 0 1"),
    "comments.stl": "# facet\n" + STL.replace("loop\n", "loop // of 1 facet\n").replace("   vertex", "; 2\n   vertex"),
    "number_in_name.stl": STL.replace("car", "car #1 // 2").replace("\n", " "),
    "empty_solids.stl": "solid a\nendsolid a\n" + STL + "solid b\nendsolid\n",
    "binary.stl": BINARY_HEADER + BINARY,
    "binary_padded.stl": BINARY_HEADER + BINARY + bytes(4),
    "binary_twice_as_degenerate.stl": BINARY_HEADER + BINARY + BINARY_HEADER + bytes(50),
}  # fmt: skip


@pytest.mark.parametrize("name", HALF)
def test_the_triangle_is_read(name: str, tmp_path: Path):
    content = HALF[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert triangle_areas(load_mesh(tmp_path / name)).sum() == pytest.approx(0.5)


REFUSED = {
    "qnan.obj": (V.replace("0 1 0", "0 1 1.#QNAN") + "f 1 2 3\n", "vertex 3 finite"),
    "inf.obj": (V.replace("0 1 0", "0 1 -1.#INF00") + "f 1 2 3\n", "vertex 3 finite -inf"),
    "ind.obj": (V.replace("0 1 0", "0 1 -nan(ind)") + "f 1 2 3\n", "vertex 3 finite"),
    "rounded_nan.obj": (V.replace("0 1 0", "0 1 1.#J") + "f 1 2 3\n", "vertex 3 finite"),
    "comma.obj": (V.replace("0 1 0", "0 1,5 0") + "f 1 2 3\n", "numbers 1,5 comma"),
    "fortran.obj": (V.replace("0 1 0", "0 1.5d0 0") + "f 1 2 3\n", "numbers 1.5d0"),
    "suffix.obj": (V.replace("0 1 0", "0 1.5f 0") + "f 1 2 3\n", "numbers 1.5f"),
    "glued_numbers.obj": (V.replace("0 1 0", "0 1.5-2.5 0") + "f 1 2 3\n", "numbers 1.5-2.5"),
    "glued_comment.obj": (V.replace("0 1 0", "0 1 0#1") + "f 1 2 3\n", "numbers 0#1"),
    "utf16.obj": ((V + "f 1 2 3\n").encode("utf-16"), "UTF-16"),
    "utf16_bare.obj": ((V + "f 1 2 3\n").encode("utf-16-le"), "UTF-16"),
    "utf16_big.off": ((OFF + "3 0 1 2\n").encode("utf-16-be"), "UTF-16"),
    "utf16.stl": (STL.encode("utf-16"), "UTF-16"),
    "utf16.ply": ("ply\nformat ascii 1.0\n".encode("utf-16"), "UTF-16"),
    "zeros.stl": (STL.replace("1 0 0", "1 0 \0"), "not a mesh"),
    "zeros_for_the_end.stl": (STL[:-13] + "\0" * 100, "truncated endsolid"),
    "zeros_for_the_end.off": (OFF + "\0" * 100, "truncated 1 faces"),
    "zeros.obj": (V + "f 1 2 3\n\0\0", "zero bytes"),
    "surface.obj": (V + "f 1 2 3\nsurf 0 1 0 1 1 2 3 4\n", "free-form surf"),
    "call.obj": (V + "f 1 2 3\ncall other.obj\n", "calls other.obj"),
    "shell.obj": (V + "f 1 2 3\ncsh rm -r x\n", "calls csh"),
    "empty_face.obj": (V + "f\nf 1 2 3\n", "face 1 corners"),
    "lost_continuation.obj": (V + "f 1 2\n3\n", "numbers 3 statement"),
    "invisible_letter.obj": ("\u200b" + V + "f 1 2 3\n", "statement 0"),
    "damaged_word.obj": (V.replace("v 1", "vK1 1") + "f 1 2 3\n", "statement vK1"),
    "glued_word.obj": (V + "f 1 2 3\nf# 1 2 3", "statement f# 1 2 3"),
    "slash.obj": (V + "f 1 / 2 3\n", "slash"),
    "cut_slash.obj": (V + "f 1/1 2/2 3/", "truncated"),
    "cut_normal.obj": (V + "f 1/1/1 2/2/2 3/3", "truncated"),
    "cut_word.obj": (V + "f 1 2 3\nuse", "truncated use"),
    "cut_vertex.obj": (V + "f 1 2 3\nv 1 2 3", "truncated vertices"),
    "cut_texture.obj": (V + "f 1 2 3\nv 1 2 3\nvt 0.5", "truncated vertices"),
    "ends_in_backslash.obj": (V + "f 1 2 3 \\", "words"),
    "four.off": (OFF.replace("OFF", "4OFF") + "3 0 1 2\n", "4OFF dimension"),
    "many.off": (OFF.replace("OFF", "nOFF") + "3 0 1 2\n", "nOFF dimension"),
    "binary.off": (b"OFF BINARY\n" + bytes(40), "binary OFF text"),
    "more.off": (OFF + "3 0 1 2\n3 0 1 2\n", "3 vertices 1 faces 5 lines"),
    "more_numbers.off": (OFF + "3 0 1 2 1 2 3 4 5\n", "face 1 5 numbers"),
    "colours_for_faces.off": (OFF.replace("3 1", "3 4") + "3 0 1 2 0 0 0\n", "truncated 4 faces"),
    "qnan.off": (OFF.replace("0 1 0", "0 1 1.#QNAN") + "3 0 1 2\n", "vertex 3 finite"),
    "negative.off": (OFF + "-3 0 1 2\n", "face 1 corners"),
    "stars.stl": (STL.replace("vertex 1 0 0", "vertex ******** 0 0"), "numbers ********"),
    "two_numbers.stl": (STL.replace("vertex 1 0 0", "vertex 1 0"), "facet 1 whole"),
    "two_cut.stl": (STL + STL[:-30], "facet 2 whole"),
    "cut_between.stl": (f"solid a\n{FACET}", "facet 1 endsolid"),
    "two_vertices.stl": (STL.replace("   vertex 1 0 0\n", ""), "facet 1 2 vertices"),
    "junk_between.stl": (f"solid a\n{FACET}hello\n{FACET}endsolid a\n", "hello 1 facets"),
    "junk_after.stl": (STL + "vertex 1 2 3\n", "vertex 1 2 3"),
    "outside.stl": (STL + FACET, "facet 2 no solid"),
    "one_line_broken.stl": (STL.replace("endloop", "").replace("\n", " "), "facet 1 whole"),
    "cut_binary.stl": (BINARY_HEADER + BINARY[:-3], "truncated 1 facets 0"),
    "more_binary.stl": (BINARY_HEADER + BINARY + BINARY, "1 facets 50 bytes"),
    "count_zero.stl": (b" " * 80 + bytes(4) + BINARY, "0 facets 50 bytes"),
    "no_solid.stl": (FACET, "mesh solid"),
    "zeros_alone.off": (bytes(100), "zero bytes"),
    "short.stl": (b"hello", "mesh binary STL 84 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_named(name: str, tmp_path: Path):
    content, facts = REFUSED[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MeshError, match=naming(facts)) as caught:
        load_mesh(tmp_path / name)
    assert "\n" not in str(caught.value)


WHOLE = {
    "obj": V.replace("5 5 5", "0 0 1") + "f 1/1 2/1 3/1\nf 2/1 3/1 4/1",
    "off": OFF.replace("3 1", "3 2") + "3 0 1 2\n3 2 1 0",
    "stl": STL + STL.rstrip(),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_text_cut_anywhere_is_refused_but_where_it_cannot_be_told(kind: str, tmp_path: Path):
    text, read = WHOLE[kind], []
    for length in range(1, len(text) + 1):
        (tmp_path / f"a.{kind}").write_text(text[:length])
        try:
            load_mesh(tmp_path / f"a.{kind}")
        except MeshError:
            continue
        read.append(length)
    end = STL.index("endsolid") + 8  # a name may end anywhere
    expected = {
        "obj": [text.find("\nf 2"), text.find("\nf 2") + 1, len(text)],
        "off": [len(text)],
        "stl": [*range(end, len(STL) + 1), *range(len(STL) + end, len(text) + 1)],
    }
    assert read == expected[kind]


@pytest.mark.parametrize("suffix", [".obj", ".off", ".stl"])
def test_more_text_than_memory_is_taken_for_is_refused(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dataprocessing.formats.text.MOST_TEXT", 999_999)
    (tmp_path / f"a{suffix}").write_text("solid a\n" + "# filled\n" * 200_000)
    with pytest.raises(MeshError, match=naming("MB text .ply")):
        load_mesh(tmp_path / f"a{suffix}")
