"""Clock of the plant: times as the shift reads them off its own clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sheetbreak.errors import DataError
from sheetbreak.times import EPOCH, MICROSECOND, to_us


def zone_named(name: str) -> ZoneInfo:
    """Raises DataError for a zone that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DataError(f"--timezone {name}: no such time zone; expected one such as Europe/Helsinki") from error


class PlantClock:
    """`zone`, where one was given; else the offset that the monitor's last alert told; else UTC."""

    def __init__(self, zone: ZoneInfo | None, told_offset_s: Callable[[], int | None]) -> None:
        self._zone, self._told = zone, told_offset_s

    @property
    def zone(self) -> tzinfo:
        """The plant's."""
        if self._zone is not None:
            return self._zone
        offset_s = self._told()
        return UTC if not offset_s else timezone(timedelta(seconds=offset_s))

    @property
    def name(self) -> str:
        """How the pages call it."""
        return self._zone.key if self._zone is not None else str(self.zone)

    def local(self, time_us: int) -> datetime:
        """The plant's clock at that moment."""
        return (EPOCH + time_us * MICROSECOND).astimezone(self.zone)

    def date_and_time(self, time_us: int) -> str:
        """Such as 2026-11-30 14:05."""
        return f"{self.local(time_us):%Y-%m-%d %H:%M}"

    def hour(self, time_us: int) -> str:
        """Such as 14:05."""
        return f"{self.local(time_us):%H:%M}"

    def read(self, text: str) -> int:
        """µs since 1970 UTC of a local time such as "2026-11-30T06:00". Raises ValueError."""
        moment = datetime.fromisoformat(text)
        return to_us(moment if moment.tzinfo else moment.replace(tzinfo=self.zone))
