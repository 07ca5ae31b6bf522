"""Command `sheetbreak encode`: a model's latent features of every scored row, as CSV or Parquet."""

from collections.abc import Sequence
from pathlib import Path

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from sheetbreak.history.doubts import warn_of
from sheetbreak.history.reader import read_csv
from sheetbreak.times import format_time
from trainer.data.reading import add_files
from trainer.latent.encoding import encode
from trainer.latent.model import add_model_options, load_chosen, load_halves
from trainer.output.files import results_to


def main(argv: Sequence[str]) -> int:
    """Write the features. Raises DataError or ArtifactError."""
    parser = OptionParser(
        "sheetbreak encode",
        "Write a model's latent features of every scored row: row, time, machine, state, z0, z1, …\n"
        "Principal components for pca, else what the encoder makes of a row; of a window, at its last row.",
        example="sheetbreak encode mill.csv --out features.parquet",
    )
    add_files(parser, "rows of the plant that the model was trained on")
    add_model_options(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .csv or .parquet file (default: CSV on standard output)"
    )
    options = parser.parse_args(argv)
    if options.out is not None and options.out.suffix not in (".csv", ".parquet"):
        raise DataError(f"--out {options.out}: name a file that ends in .csv or .parquet")
    artifact = load_chosen(options)
    _, rows = read_csv(options.csv, sensors_from=artifact.manifest.schema, tell=warn_of)
    scored, codes, states = encode(rows, artifact, load_halves(options.models, artifact))

    import pandas as pd

    times = rows.times_us[scored]
    as_parquet = options.out is not None and options.out.suffix == ".parquet"
    table = pd.DataFrame(
        {
            "row": scored,
            "time": pd.to_datetime(times, unit="us", utc=True) if as_parquet else [*map(format_time, times.tolist())],
            "machine": [rows.machines[row] for row in scored.tolist()],
            "state": states,
        }
        | {f"z{i}": code for i, code in enumerate(codes.T)}
    )
    with results_to(options.out) as file:
        if as_parquet:
            table.to_parquet(file, engine="pyarrow", index=False)
        else:
            table.to_csv(file, index=False, lineterminator="\n")
    return 0
