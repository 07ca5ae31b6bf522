"""Messages for people: plant time beside UTC, units where the schema has them, and how unusual a reading is."""

import json
from typing import Any

import numpy as np
import pytest

from sheetbreak.engine.advance import advance
from sheetbreak.rows import Schema
from sheetbreak.wire.messages import Plant, encode_alert, encode_score
from sheetbreak.wire.readable import readable_line
from tests.support.models.making import make_artifact, make_batch

HELSINKI = Plant.of(Schema(timezone="Europe/Helsinki", units={"x1": "bar"}))


def alert_of(plant: Plant) -> dict[str, Any]:
    using = make_artifact()
    rows = make_batch(80, schema=using.manifest.schema)
    rows.values[60] *= 40
    _, results = advance({}, rows, using)
    place, event = results.alerts[0]
    message: dict[str, Any] = json.loads(encode_alert(event, plant=plant))
    score = json.loads(encode_score(rows, results, place, model="v", plant=plant))
    assert score["top"] == message["top"]
    return message


def test_an_alert_says_when_it_was_on_the_plants_own_clock() -> None:
    message = alert_of(HELSINKI)
    assert message["time"].endswith("Z")
    assert message["local_time"][-6:] in ("+02:00", "+03:00")
    utc = np.datetime64(message["time"][:-1])
    hours = int(message["local_time"][-5:-3])
    assert np.datetime64(message["local_time"][:-6]) - utc == np.timedelta64(hours, "h")
    assert alert_of(Plant())["local_time"].endswith("+00:00")
    assert readable_line(json.dumps(message).encode()).startswith(message["local_time"].replace("T", " "))


def test_leading_sensors_have_their_unit_and_how_many_spreads_they_are_off() -> None:
    for top in alert_of(HELSINKI)["top"]:
        assert top.get("unit") == ("bar" if top["sensor"] == "x1" else None)
        off = top["observed"] - top["expected"]
        assert np.isfinite(top["spreads"])
        assert np.sign(top["spreads"]) == pytest.approx(np.sign(off))
