"""`sheetbreak machines`: what it lists, what a machine is after it was retired, and when it refuses."""

from pathlib import Path

import pytest

from sheetbreak.cli.machines import main
from sheetbreak.errors import DataError
from tests.support.kafka.broker import Broker
from tests.support.kafka.mill import KafkaMill
from tests.support.running.patience import PATIENCE_S, patiently, wait_for


def test_a_retired_machine_is_gone_and_the_others_go_on(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    mill = KafkaMill(broker, tmp_path, machines=2, rows=200, partitions=1)
    address, options = broker.url(), ["--topic-prefix", mill.prefix, "--group", mill.prefix + "group"]

    def listed() -> dict[str, str]:
        capsys.readouterr()
        assert patiently(lambda: main([address, *options])) == 0
        return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}

    def retired() -> bool:
        try:
            return patiently(lambda: main([address, "retire", "pm0", *options])) == 0
        except DataError:  # says that monitors run, as checked below
            return False

    try:
        assert listed() == {}
        first = mill.start()
        mill.send(60)
        wait_for(lambda: mill.answered() == 120)
        assert listed().keys() == {"pm0", "pm1"}
        assert "1999-05-01T01:58:00Z" in listed()["pm1"]
        with pytest.raises(DataError, match=r"monitors of the group .*\(one\) run.*stop them"):
            patiently(lambda: main([address, "retire", "pm0", *options]))
        with pytest.raises(DataError, match="which one"):
            main([address, "reset", *options])
        first.terminate()
        assert first.wait(PATIENCE_S) == 0
        wait_for(retired)  # a static member is in the group until its session ends
        assert listed().keys() == {"pm1"}
        with pytest.raises(DataError, match=r"no state of a machine 'pm0'; it has pm1"):
            patiently(lambda: main([address, "retire", "pm0", *options]))
        second = mill.start()
        mill.send(10)
        wait_for(lambda: mill.answered() == 140)
        scores = mill.read("scores")
        assert {score["state"] for score in scores["pm0"][60:]} == {"warming-up"}
        assert "warming-up" not in {score["state"] for score in scores["pm1"][60:]}
        assert "machines=1" in mill.log(second)
        assert "state-missing" not in mill.log(second)
    finally:
        mill.tear_down()
