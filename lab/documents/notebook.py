"""Run examples/first_steps.ipynb and write it with what its cells show: `python -m lab.documents.notebook`.

Only what our own notebook needs of Jupyter: the cells share their names, and the last expression of a cell is shown, as
text or as a picture.
"""

import ast
import base64
import contextlib
import io
import json
from typing import Any

from PIL import Image

from runtime.errors import run
from runtime.files import write_text
from runtime.layout import ROOT

NOTEBOOK = ROOT / "examples" / "first_steps.ipynb"


def main() -> int:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    execute(notebook)
    write_text(NOTEBOOK, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    print(NOTEBOOK)
    return 0


def execute(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run all code cells, put what they show into them, and return the names that they made."""
    names: dict[str, Any] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = run_cell("".join(cell["source"]), names)
        cell["execution_count"], cell["outputs"] = number, []
        if printed.getvalue():
            text = printed.getvalue().splitlines(keepends=True)
            cell["outputs"].append({"output_type": "stream", "name": "stdout", "text": text})
        if value is not None:
            shown = {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data_of(value)}
            cell["outputs"].append(shown)
    return names


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run the lines of a cell. Returns the value of its last expression, None if it ends with a statement."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)


def data_of(value: Any) -> dict[str, Any]:
    """What a notebook holds of a value: a picture as PNG, else its text."""
    if isinstance(value, Image.Image):
        png = io.BytesIO()
        value.quantize(96).save(png, "PNG", optimize=True)
        return {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": ["<a picture>"]}
    return {"text/plain": repr(value).splitlines(keepends=True)}


if __name__ == "__main__":
    run(main)
