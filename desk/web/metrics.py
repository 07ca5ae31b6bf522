"""Metrics of the desk, as Prometheus reads them: whether it hears the monitor, and whether it hands alerts over."""

from desk.feeds import Status


def metrics(status: Status, *, open_pages: int) -> str:
    """The text of `/metrics`."""
    numbers: dict[str, tuple[str, float | None]] = {
        "sheetbreak_desk_source_answers": ("1: the brokers, or the pipe, can be read.", status.answers),
        "sheetbreak_desk_live": ("1: what was written before the desk started has been read.", status.live),
        "sheetbreak_desk_notifies": (
            "1: this desk hands alerts to Alertmanager, which takes them; absent: it is not to.",
            status.notifies,
        ),
        "sheetbreak_desk_pages_open": ("Pages that are kept live.", open_pages),
        "sheetbreak_desk_foreign_records": ("Records that were no message of a monitor.", status.foreign),
    }
    lines = []
    for name, (text, number) in numbers.items():
        if number is not None:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {float(number):g}"]
    return "\n".join([*lines, ""])
