"""Notebook of docs/notebook.ipynb, executed: the cells below with what they print, on a simulated mill.

    .venv/bin/python docs/make_notebook.py

Makes the mill and a model in a temporary folder, as the first cell says, and runs the cells there.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent / "notebook.ipynb"
SET_UP = (
    ["simulate", "--days", "7", "--seed", "7", "--out", "mill.csv"],
    ["train", "mill.csv", "--family", "pca"],
)
CELLS = (
    "# sheetbreak from a notebook\n\nThe mill is simulated; a week of it, and a model, in a shell beforehand:\n\n"
    + "".join(f"    sheetbreak {' '.join(command)}\n" for command in SET_UP)
    + "\n[python.md](python.md) says what tables are taken, and what comes back.",
    """import pandas as pd
import sheetbreak
import trainer
from trainer.estimator import SheetBreakDetector

frame = pd.read_csv("mill.csv")
model = sheetbreak.load("models")
scored = model.score(frame)  # what the monitor would write of the same rows, to the last digit
scored["state"].value_counts()""",
    """unusual = scored[scored["over"]].nlargest(3, "ratio")
unusual[["time", "score", "threshold", "ratio"]]""",
    """model.explain(frame, leading=2).loc[unusual.index]  # which sensors, as they were and as they were expected""",
    """found = trainer.backtest(frame, detector=SheetBreakDetector(family="pca"))  # eight times, the past alone
print(found)""",
    """found.folds[["fold", "breaks", "roc_auc", "roc_auc_low", "roc_auc_high"]]""",
)


def main() -> None:
    """Run the cells and write the notebook."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for command in SET_UP:
            subprocess.run([sys.executable, "-m", "sheetbreak", *command], check=True, stdout=subprocess.DEVNULL)
        names: dict[str, Any] = {}
        cells = [_markdown(CELLS[0]), *(_executed(cell, i, names) for i, cell in enumerate(CELLS[1:], 1))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    NOTEBOOK.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "cell-0", "metadata": {}, "source": text.splitlines(keepends=True)}


def _executed(code: str, number: int, names: dict[str, Any]) -> dict[str, Any]:
    """A cell with what it prints, and the value of its last line where that is an expression."""
    *statements, last = ast.parse(code).body
    printed = StringIO()
    shown = None
    with redirect_stdout(printed):
        exec(compile(ast.Module(statements, []), "<cell>", "exec"), names)  # noqa: S102 - a cell above
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307 - a cell above
        else:
            exec(compile(ast.Module([last], []), "<cell>", "exec"), names)  # noqa: S102 - a cell above
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append(
            {"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)}
        )
    if shown is not None:
        text = {"text/plain": repr(shown).splitlines(keepends=True)}
        outputs.append({"data": text, "execution_count": number, "metadata": {}, "output_type": "execute_result"})
    return {
        "cell_type": "code",
        "execution_count": number,
        "id": f"cell-{number}",
        "metadata": {},
        "outputs": outputs,
        "source": code.splitlines(keepends=True),
    }


if __name__ == "__main__":
    main()
