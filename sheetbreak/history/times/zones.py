"""Zones by the short names that times end with: common ones in other languages, and a zone of the database for each."""

_GERMAN = {"MEZ": "CET", "MESZ": "CEST", "OEZ": "EET", "OESZ": "EEST", "WEZ": "WET", "WESZ": "WEST"}
_CANADIAN_FRENCH = {
    f"H{season}{zone}": f"{english}{'S' if season == 'N' else 'D'}T"
    for zone, english in {"E": "E", "C": "C", "R": "M", "P": "P"}.items()
    for season in "NA"
}
_NATIONAL = _GERMAN | _CANADIAN_FRENCH
_ZONES = {
    **dict.fromkeys(("CET", "CEST"), "Europe/Berlin"),
    **dict.fromkeys(("EET", "EEST"), "Europe/Helsinki"),
    **dict.fromkeys(("WET", "WEST"), "Europe/Lisbon"),
    **dict.fromkeys(("BST",), "Europe/London"),
    **dict.fromkeys(("EST", "EDT"), "America/New_York"),
    **dict.fromkeys(("CST", "CDT"), "America/Chicago"),
    **dict.fromkeys(("MST", "MDT"), "America/Denver"),
    **dict.fromkeys(("PST", "PDT"), "America/Los_Angeles"),
}


def common_name(name: str) -> str:
    """The name in the zone database: CET of MEZ; any other as it is, in capitals."""
    return _NATIONAL.get(name.upper(), name.upper())


def zone_by_name(name: str) -> str | None:
    """A zone whose clock has that name; there may be others."""
    return _ZONES.get(common_name(name))
