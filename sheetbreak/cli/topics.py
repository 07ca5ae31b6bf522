"""Command `sheetbreak topics`: creates or checks the topics of an installation."""

from collections.abc import Sequence

from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import DataError
from sheetbreak.wire.topics import ACTIONS, TOPICS


def main(argv: Sequence[str]) -> int:
    """`sheetbreak topics create|check|grow`."""
    from sheetbreak.streams.kafka.admin.topics import DEFAULT_PARTITIONS, administer
    from sheetbreak.streams.kafka.options import parse_address  # Kafka is an extra, loaded by what needs it alone

    parser = OptionParser(
        "sheetbreak topics",
        f"Create, check or grow the topics: {', '.join((*TOPICS, ACTIONS))}.",
        example="sheetbreak topics create kafka://localhost:9092\n"
        "sheetbreak topics check kafka://localhost:9092 --topic-prefix mill1.",
    )
    parser.add_argument("action", choices=["create", "check", "grow"])
    parser.add_argument("address", help="kafka://host:9092; with /topic, the input's name instead of sensor-rows")
    parser.add_argument(
        "--partitions",
        type=whole_number(minimum=1, maximum=10_000),
        help=f"of each topic; default: as many as the input has, {DEFAULT_PARTITIONS} if there is none yet",
    )
    parser.add_argument("--topic-prefix", help="a name put before all of them")
    parser.add_argument(
        "--replication-factor",
        type=whole_number(minimum=1, maximum=100),
        metavar="N",
        help="copies of each topic that is created, 3 on a cluster; default: the broker's default.replication.factor",
    )
    parser.add_argument(
        "--group", default="sheetbreak-monitor", help="grow: the monitors' consumer group, none of which may run"
    )
    options = parser.parse_args(argv)
    address, prefix = parse_address(options.address, needs_topic=False), options.topic_prefix or ""
    if options.action == "grow":
        from sheetbreak.streams.kafka.admin.growing import grow

        if options.partitions is None:
            raise DataError("topics grow: say how many partitions each topic is to have, with --partitions")
        lines = grow(address, prefix=prefix, group=options.group, partitions=options.partitions)
    else:
        lines = administer(
            options.action,
            address,
            prefix=prefix,
            partitions=options.partitions,
            replicas=options.replication_factor,
        )
    print("\n".join(lines))
    return 0
