"""Command `sheetbreak machines`: lists the machines that have state in Kafka, retires and resets them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sheetbreak.cli.options import OptionParser
from sheetbreak.cli.screen import columns, cut
from sheetbreak.errors import DataError
from sheetbreak.times import format_time
from sheetbreak.wire.readable import printable

if TYPE_CHECKING:
    from sheetbreak.streams.kafka.admin.machines import Found

_NAME = 24
"""Columns of a machine's name, on a terminal at most."""


def main(argv: Sequence[str]) -> int:
    """`sheetbreak machines kafka://… [retire M | reset M]`."""
    from sheetbreak.streams.kafka.admin.machines import list_machines, remove_machine  # Kafka is an extra
    from sheetbreak.streams.kafka.options import parse_address

    parser = OptionParser(
        "sheetbreak machines",
        "List the machines that have state in Kafka. retire: a machine is out of service, its state is deleted and its "
        "alerts end. reset: its next row starts it cold, as one never seen. Both while no monitor runs.",
        example="sheetbreak machines kafka://localhost:9092\n"
        "sheetbreak machines kafka://localhost:9092 retire pm3\n"
        "sheetbreak machines kafka://localhost:9092 reset pm1 --group sheetbreak-monitor",
    )
    parser.add_argument("address", help="kafka://host:9092; with /topic, the input's name instead of sensor-rows")
    parser.add_argument("action", nargs="?", choices=["retire", "reset"], help="without: list")
    parser.add_argument("machine", nargs="?", metavar="M")
    parser.add_argument("--group", default="sheetbreak-monitor", help="the monitors' consumer group")
    parser.add_argument("--topic-prefix", help="the name put before all topics")
    options = parser.parse_args(argv)
    address, prefix = parse_address(options.address, needs_topic=False), options.topic_prefix or ""
    if options.action is None:
        found = list_machines(address, prefix=prefix)
        print("\n".join(table_of(found, width=columns())))
        return 0
    if not options.machine:
        raise DataError(f"machines {options.action}: which one? sheetbreak machines {options.address} lists them")
    partitions = remove_machine(address, options.machine, group=options.group, prefix=prefix)
    where = ", ".join(map(str, partitions))
    after = "its series and alerts end with the monitors' start" if options.action == "retire" else "it starts cold"
    print(f"{printable(options.machine)}: state deleted in partition {where}; {after}")
    return 0


def table_of(found: "Sequence[Found]", *, width: int | None) -> list[str]:
    """A line a machine. width: of the terminal, to which names are cut; None: they are whole, for a program to read."""
    names = [printable(one.machine) for one in found]
    room = _NAME if width is not None else max(_NAME, *(len(name) + 2 for name in names), 0)
    lines = [f"{'machine':<{room}}{'partition':>9}  {'last row':<22}{'state':<12}grade"]
    for one, name in zip(found, names, strict=True):
        now = one.summary
        last = format_time(now.last_us) if now is not None and now.last_us is not None else "-"
        state = "unreadable" if now is None else now.state
        grade = printable((now.grade if now is not None else None) or "-")
        head = f"{cut(name, room - 2):<{room}}{one.partition:>9}  {last:<22}{state:<12}"
        lines.append(head + (grade if width is None else cut(grade, max(width - len(head), 1))))
    return lines
