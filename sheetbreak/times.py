"""Durations for people, from milliseconds to years: a plant samples every 2 minutes, a bearing 250 times a second."""

_UNITS = ((1.0, 1e-3, "ms"), (60.0, 1.0, "s"), (7200.0, 60.0, "min"), (172_800.0, 3600.0, "h"))
"""(below so many seconds, in units of so many, named)"""


def duration(seconds: float) -> str:
    """Three digits in the largest unit that leaves more than one of it: "4 ms", "60 min", "30 days"."""
    for below, unit, name in _UNITS:
        if seconds < below:
            return f"{seconds / unit:.3g} {name}"
    days = seconds / 86_400
    return f"{days:.3g} days" if days < 1000 else f"{days:,.0f} days"
