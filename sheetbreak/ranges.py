"""Ranges of a model's numbers, checked wherever a manifest is decoded: what the engine works with and no more."""

from typing import Annotated

from msgspec import Meta

MOST_ROWS = 1_000_000
"""No count of rows in a manifest is larger: 3.8 years at 2 minutes; as many trailing scores take 8 MB a machine."""

Rows = Annotated[int, Meta(ge=0, le=MOST_ROWS)]
SomeRows = Annotated[int, Meta(ge=1, le=MOST_ROWS)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""What becomes a label, a key or part of a log line."""
