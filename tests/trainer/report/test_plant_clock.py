"""Times in a report's tables and plots are those of the plant's clock."""

from dataclasses import replace

from tests.support.data.histories import mill_like, schema_of
from trainer.data.labels import label_rows
from trainer.report.page import Plot, Table
from trainer.report.plots.health import health_section

LATE = 81_000_000_000
"""22:30 UTC on the first of January 1970, which is half past midnight on the second in Helsinki."""


def test_the_datas_health_has_its_days_and_gaps_on_the_plants_clock() -> None:
    rows = mill_like(300)
    rows = replace(rows, times_us=rows.times_us - rows.times_us[0] + LATE)
    first = {}
    for zone in ("UTC", "Europe/Helsinki"):
        schema = replace(schema_of(6), timezone=zone)
        parts = health_section(rows, schema, label_rows(rows, schema)).parts
        span = next(part for part in parts if isinstance(part, Table)).lines[0][1][0].beside
        gap = next(part for part in parts if isinstance(part, Plot) and part.id == "gaps").traces[0]["x"][0]
        first[zone] = (span[:10], gap[:13])
    assert first == {"UTC": ("1970-01-01", "1970-01-02T01"), "Europe/Helsinki": ("1970-01-02", "1970-01-02T03")}
