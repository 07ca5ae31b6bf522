"""Core of a state as it is kept: its fields in their order, and the range of each number.

A record that decodes and says what no monitor can have written (a time in no year, a negative count) is refused as one
that does not decode: by msgspec, from these types.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sheetbreak.bounds import InnerShare, Rows, SomeRows
from sheetbreak.engine.admission import NEVER, RESENT_ROWS
from sheetbreak.engine.alerts import WARNED_ROWS
from sheetbreak.engine.features import MASK_AFTER_ROWS
from sheetbreak.engine.odds import REMEMBERED
from sheetbreak.rows import MAX_NAME_CHARS

Count = Annotated[int, Meta(ge=0, le=1 << 53)]
TimeUs = Annotated[int, Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]
"""The years 1 to 9999: what can be told as a time."""
Crc = Annotated[int, Meta(ge=0, lt=1 << 32)]
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
Odds = tuple[Annotated[str, Meta(pattern=r"^[+-]*$", max_length=REMEMBERED)], Count, Count, Rows, tuple[Rows, ...]]

KeptRaised = tuple[str, Annotated[tuple[tuple[Name, bool, bool | None], ...], Meta(max_length=REMEMBERED)]]
"""The part "raised": the model whose warnings they are; of each its id, whether its row had a label, and an operator's
verdict. Written as a warning opens, so one may still be there that an older model's state left behind."""


class Core(msgspec.Struct, array_like=True, gc=False):
    """All of a state but the trailing scores and what is seldom there: format 2."""

    format: int
    schema: bytes
    model: str
    last_us: TimeUs | None
    since_restart: Annotated[int, Meta(ge=0, le=NEVER)]
    was_broken: bool
    late: Count
    late_us: TimeUs
    tops: bytes
    """zlib of the uppermost bytes of mean, variance and last: signs and exponents, half of which is the same."""
    mean: bytes
    variance: bytes
    last: bytes
    """The bytes of each value below its uppermost one, little endian."""
    missing: dict[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0, le=MASK_AFTER_ROWS + 1)]]
    rows: Rows
    recent: bytes
    over: Count
    since_open: Count
    open: tuple[Name, TimeUs, Literal["warning", "critical"], str, Count, Count] | None
    trailing_rows: SomeRows
    trailing_count: Count
    tail: bytes
    """The scores in the chunk being filled, up to the newest."""
    muted: Count = 0
    grade: str | None = None
    share: InnerShare | None = None
    waiting: tuple[Rows, ...] = ()
    odds: Odds | None = None
    """Outcomes as a text of + and -, rows scored and ahead of a break, since the last one, warnings that wait."""
    since_opened: Count = WARNED_ROWS


class Core3(Core, array_like=True, gc=False):
    """With an offset of the sensors' values, fingerprints of the last rows and a state set aside: format 3."""

    offset: Crc = 0
    """crc32 of the part "offset"; 0 where there is none."""
    prints: Annotated[bytes, Meta(max_length=2 * RESENT_ROWS)] = b""
    aside: Crc = 0
    """crc32 of the part "aside"; 0 where there is none."""
    aside_rows: Count = 0


class Core4(Core3, array_like=True, gc=False):
    """With what operators said, where they said something that holds; a reader of format 3 takes no notice of it."""

    acknowledged: tuple[str, str, TimeUs] | None = None
    shelved_until_us: TimeUs | None = None
    masks: tuple[tuple[str, TimeUs | None], ...] = ()


class Core5(Core4, array_like=True, gc=False):
    """With scores to be smoothed, of a model that asks for it."""

    recent_scores: tuple[float, ...] = ()


class Aside(msgspec.Struct, array_like=True, gc=False):
    """A state in one part: written once, when it is set aside."""

    core: bytes
    ring: bytes
    offset: bytes
