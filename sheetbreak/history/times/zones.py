"""Zones by the short names that times end with: national names of the common ones, and a zone of the database for each."""

_NATIONAL = {
    **{"MEZ": "CET", "MESZ": "CEST", "OEZ": "EET", "OESZ": "EEST", "WEZ": "WET", "WESZ": "WEST"},
    **{"HNE": "EST", "HAE": "EDT", "HNC": "CST", "HAC": "CDT", "HNR": "MST", "HAR": "MDT", "HNP": "PST", "HAP": "PDT"},
}
"""German names, and those of French Canada."""
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
