"""Start scripts of containers, run on this machine: their paths are put where a test has its files."""

import re
from collections.abc import Mapping


def elsewhere(script: str, places: Mapping[str, str]) -> str:
    """The script with each path replaced by its place here.

    All at once: a place may itself contain one of the paths, as in a checkout below /tmp.
    """
    missing = [path for path in places if path not in script]
    assert not missing, f"the script names no {', '.join(missing)}"
    return re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], script)
