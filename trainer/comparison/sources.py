"""Sources: a digest over the files of our code that can change a figure, to tell versions of it apart."""

import ast
import hashlib
import re
from pathlib import Path

from trainer.training.versions import library_versions

_ROOT = Path(__file__).resolve().parents[2]
_OURS = ("sheetbreak", "trainer")
_NAMED = re.compile(r"[a-z_]+(\.\w+)+:\w+")


def running_versions() -> dict[str, str]:
    """What a figure depends on beside its task: our code, Python and the libraries."""
    return {"code": sources_digest("trainer.comparison.tasks"), **library_versions()}


def sources_digest(module: str, *, root: Path = _ROOT) -> str:
    """sha256 over the source of `module` and of every module of ours that it imports, directly or not."""
    digest = hashlib.sha256()
    for name, path in sorted(imported_sources(module, root=root).items()):
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def imported_sources(module: str, *, root: Path = _ROOT) -> dict[str, Path]:
    """Module -> file, of `module` and of all of ours that it imports.

    Imports inside functions are included, and what a table names as "module:function", to be imported when needed.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, root)
        if path is None or name in found:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMED.fullmatch(node.value):
                waiting.append(node.value.partition(":")[0])
    return found


def _file_of(module: str, root: Path) -> Path | None:
    parts = module.split(".")
    if parts[0] not in _OURS:
        return None
    base = root.joinpath(*parts)
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
