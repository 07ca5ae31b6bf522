"""Too few rows to learn from: why, and what to do about it, in words."""

from sheetbreak.engine.features import FeatureParams
from sheetbreak.rows import Schema
from trainer.data.labels import Ints, Labels


def none_left(labels: Labels, part: Ints, schema: Schema) -> str:
    """Why not one row of a part is break-free."""
    broken = int((~labels.judged[part]).sum())
    if not schema.lead_rows or not labels.will_break[part].any():
        remedy = "give more rows, or a larger first part in --split"
        return f"no break-free row is left to train on: {len(part):,} rows in the first part of the split; {remedy}"
    ahead = int(labels.will_break[part].sum())
    return (
        f"no break-free row is left to train on: of {len(part):,} rows in the first part of the split {broken:,} are "
        f"breaks and {ahead:,} lie within lead_rows = {schema.lead_rows:,} rows before one; set a smaller "
        "sampling.lead_rows in --schema, shorter than the runs between breaks"
    )


def lead_words(labels: Labels, part: Ints, schema: Schema) -> str:
    """What a long lead took of the rows, where that is most of them."""
    ahead = int(labels.will_break[part].sum())
    if not schema.lead_rows or 2 * ahead <= len(part):
        return ""
    return f", or set a smaller sampling.lead_rows: {ahead:,} rows lie within {schema.lead_rows:,} before a break"


def too_few(found: int, fewest: int, *, break_free: int, window: int, features: FeatureParams) -> str:
    """That they are too few, and what took the others."""
    reasons = []
    if features.kind == "streaming-z":
        reasons.append(f"the first {features.warm_up_rows} of each machine warm up (--preset rows needs no warm-up)")
    if window > 1:
        reasons.append(f"a window takes {window} rows without a stop")
    reasons.append("a row with more than a fifth of the sensors missing is left out")
    return (
        f"{found} rows are left to train on, at least {fewest} are needed: of {break_free} break-free "
        f"rows in the first part of the split, {'; '.join(reasons)}; give more rows"
    )
