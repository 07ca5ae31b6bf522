"""Spoiled files: what `inspect` and `monitor FILE` make of lines that no program should write.

    .venv/bin/python -m benchmarks.fuzz_files [--lines 100000] [--seed 0] [--keep DIR]

Simulates a mill, trains on it, and cuts its history into files, each spoiled in its own way: cells of other kinds, too
few or too many, quotes that do not end, bytes that are no text, lines twice, out of order, cut short or empty, other
separators and line ends. Each goes through `inspect` and `monitor`. What must hold: exit code 0, and every line below
the header that is not blank comes out once (as a row, or in a doubt that counts it; as a score or a dead letter); or
exit code 2 and one line that names the file. A file that breaks this is kept, and the exit code is 1.
"""

import argparse
import contextlib
import io
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sheetbreak.cli.commands import run
from sheetbreak.history.cells import numbered_lines
from trainer.commands.inspect import main as inspect

LINES_A_FILE = 400
Spoil = Callable[[list[bytes], random.Random], list[bytes]]

CELLS = (
    *(b"", b" ", b"Bad", b"Kein Wert", b"nan", b"-nan", b"inf", b"1e999", b"-1e308", b"1_000", b"0x10", b"1e", b"--5"),
    *(b"1,5", b"1.234,5", b'"1,5"', b'"', b'""', b'"a""b"', b'a"b', b"'", b"#N/A", b"TRUE", b"-9999", b"1e35", b"\x00"),
    *(
        b"\xff\xfe",
        b"\xc3\x28",
        "½".encode(),
        "٣".encode(),
        b"\xe2\x88\x925",
        b"5 bar",
        b"<0.1",
        b"=1+1",
        b"\\",
        b"\t",
        b";",
    ),
    *(b"2026-01-05", b"99/99/99 99:99", b"1/5/26 0:00", b"9" * 400, b"x" * 3000, b"1\r2", b"null", b"None", b"0", b"1"),
)


class Verdict(NamedTuple):
    """What became of one file."""

    refused: bool
    lines: int
    fault: str
    """Empty: none."""


def spoiled(lines: Sequence[bytes], draw: random.Random) -> bytes:
    """A file of these lines, the header first, with faults of a few kinds, each seldom or often."""
    found = list(lines)
    for spoil in draw.sample(SPOILS, draw.randint(1, 4)):
        found = spoil(found, draw)
    ends = draw.choices([b"\n", b"\r\n", b"\r"], [8, 3, 1])[0]
    text = ends.join(found) + draw.choice([ends, b"", ends * 3])
    if draw.random() < 0.05:
        text = b"\xef\xbb\xbf" + text
    if draw.random() < 0.03:
        text = text.decode("latin-1").encode("utf-16")
    if draw.random() < 0.03:
        text = text[: draw.randrange(len(text))]
    return text


def _cells(lines: list[bytes], draw: random.Random) -> list[bytes]:
    share, odd = draw.choice([0.002, 0.05, 0.5]), draw.choices(CELLS, k=draw.randint(1, 6))

    def one(line: bytes) -> bytes:
        cells = line.split(b",")
        cells[draw.randrange(len(cells))] = draw.choice(odd)
        return b",".join(cells)

    return [lines[0], *(one(line) if draw.random() < share else line for line in lines[1:])]


def _widths(lines: list[bytes], draw: random.Random) -> list[bytes]:
    share = draw.choice([0.01, 0.3])

    def one(line: bytes) -> bytes:
        cells = line.split(b",")
        at = draw.randrange(len(cells))
        return b",".join(draw.choice([cells[:at], cells + cells[at:], [*cells, b""], cells[:at] + cells[at + 1 :]]))

    return [lines[0], *(one(line) if draw.random() < share else line for line in lines[1:])]


def _order(lines: list[bytes], draw: random.Random) -> list[bytes]:
    head, rows = lines[0], lines[1:]
    match draw.randrange(5):
        case 0:
            draw.shuffle(rows)
        case 1:
            rows = [row for row in rows for _ in range(draw.choice([1, 1, 1, 2]))]
        case 2:
            at = draw.randrange(len(rows))
            rows = rows[at:] + rows[:at]
        case 3:
            rows = [row for row in rows if draw.random() < 0.8]
        case _:
            rows = rows[::-1]
    return [head, *rows]


def _lines(lines: list[bytes], draw: random.Random) -> list[bytes]:
    odd = [b"", b"   ", b",,,", b'"', b"\x00" * 20, lines[0], b"total,,,", draw.randbytes(60).replace(b"\n", b"")]
    found = lines[:1]
    for line in lines[1:]:
        if draw.random() < 0.03:
            found.append(draw.choice([*odd, line[: draw.randrange(len(line) + 1)]]))
        found.append(line)
    return found


def _above(lines: list[bytes], draw: random.Random) -> list[bytes]:
    return [draw.choice([b"Report; PM4", b"", b"title,,,", b"# made by hand", b'"two'])] * draw.randint(1, 3) + lines


def _separators(lines: list[bytes], draw: random.Random) -> list[bytes]:
    sign = draw.choice([b";", b"\t", b"|", b", "])
    share = draw.choice([1.0, 1.0, 0.9])
    return [line.replace(b",", sign) if draw.random() < share else line for line in lines]


def _decimals(lines: list[bytes], draw: random.Random) -> list[bytes]:
    share = draw.choice([1.0, 0.5])
    return [line.replace(b",", b";").replace(b".", b",") if draw.random() < share else line for line in lines]


def _bytes(lines: list[bytes], draw: random.Random) -> list[bytes]:
    def one(line: bytes) -> bytes:
        at = draw.randrange(len(line) + 1)
        return (
            line[:at] + bytes([draw.choice([0, 7, 13, 34, 44, 127, 128, 195, 255])]) + line[at + draw.randint(0, 3) :]
        )

    share = draw.choice([0.01, 0.2])
    return [lines[0], *(one(line) if draw.random() < share else line for line in lines[1:])]


def _header(lines: list[bytes], draw: random.Random) -> list[bytes]:
    names = lines[0].split(b",")
    names[draw.randrange(len(names))] = draw.choice([b"", names[0], b'"x', b"a\\b", b"\xff", "Ø °C".encode(), b"x\x00"])
    return [b",".join(names), *lines[1:]]


SPOILS: list[Spoil] = [_cells, _cells, _widths, _order, _lines, _lines, _above, _separators, _decimals, _bytes, _header]


def check_inspect(path: Path) -> Verdict:
    """`sheetbreak inspect PATH --json`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _quietly(lambda: run(inspect, [str(path), "--json"]))
    if code != 0:
        return _refusal(code, err.getvalue(), path)
    found = json.loads(out.getvalue())
    lost = found["lines"] - found["rows"]
    told = sum(doubt["count"] for doubt in found["doubts"] if _counts_lines(doubt))
    fault = f"{lost} lines give no row, and {told} are told" if lost > told else ""
    return Verdict(refused=False, lines=found["lines"], fault=fault)


def _counts_lines(doubt: dict[str, Any]) -> bool:
    return doubt["kind"] in ("no-row", "blank-lines", "rows-twice") or (
        doubt["fatal"] and doubt["kind"] != "not-numbers"
    )


def check_monitor(path: Path, models: Path) -> Verdict:
    """`sheetbreak monitor PATH`, as a process."""
    emit = ["--emit", "scores,dead-letters", "--metrics-port", "0"]
    program = [sys.executable, "-m", "monitor", str(path), "--models", str(models), *emit]
    done = subprocess.run(program, capture_output=True, check=False)
    if done.returncode != 0:
        return _refusal(done.returncode, done.stderr.decode(errors="replace"), path)
    topics = Counter(json.loads(line)["topic"] for line in done.stdout.splitlines())
    came = topics["scores"] + topics["dead-letters"]
    going = _records(path)
    fault = f"{going} lines in, {topics['scores']} scores and {topics['dead-letters']} dead letters out"
    return Verdict(refused=False, lines=came, fault="" if came in going else fault)


def _records(path: Path) -> set[int]:
    """How many records a file may hold: lines that are not blank below the header, a quoted one over several as one.

    Several answers where what is quoted depends on the separator.
    """
    text = path.read_bytes()
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text.decode("utf-16", errors="replace").encode()
    if b"\n" not in text:
        text = text.replace(b"\r", b"\n")
    counts = set()
    for separator in ",;\t|":
        lines = [line for _, line in numbered_lines(text, separator)]
        heads = [at for at, line in enumerate(lines[:40]) if b"time" in line]
        counts |= {len(lines) - at - 1 for at in heads}
    return counts


def _refusal(code: int, said: str, path: Path) -> Verdict:
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    named = len(errors) == 1 and path.name in errors[0] and "Traceback" not in said
    return Verdict(refused=True, lines=0, fault="" if code == 2 and named else f"exit code {code}: {said[-2000:]}")


def _quietly(call: Callable[[], int]) -> int:
    import logging

    logging.disable(logging.CRITICAL)
    try:
        return call()
    finally:
        logging.disable(logging.NOTSET)


def main() -> int:
    """Run both over so many lines; print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("demo/fuzzed"), help="where files that break a rule are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program = [sys.executable, "-m", "sheetbreak"]
        subprocess.run([*program, "simulate", "--days", "7", "--out", work / "mill.csv"], check=True)
        train = ["train", str(work / "mill.csv"), "--family", "pca", "--models", str(work / "models")]
        subprocess.run([*program, *train], check=True, capture_output=True)
        clean = (work / "mill.csv").read_bytes().splitlines()
        return fuzz(clean, work / "models", lines=options.lines, seed=options.seed, keep=options.keep)


def fuzz(clean: Sequence[bytes], models: Path, *, lines: int, seed: int, keep: Path) -> int:
    """Spoil and check until so many lines were read; 1 where a rule was broken."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    read, files, refused, faults = Counter[str](), 0, Counter[str](), 0
    while min(read["inspect"], read["monitor"]) < lines:
        first = draw.randrange(1, max(len(clean) - LINES_A_FILE, 2))
        path = keep / f"spoiled-{seed}-{files}.csv"
        keep.mkdir(parents=True, exist_ok=True)
        path.write_bytes(spoiled([clean[0], *clean[first : first + LINES_A_FILE]], draw))
        files += 1
        verdicts = {"inspect": check_inspect(path), "monitor": check_monitor(path, models)}
        for name, verdict in verdicts.items():
            read[name] += verdict.lines
            refused[name] += verdict.refused
            if verdict.fault:
                print(f"{path}: {name}: {verdict.fault}", flush=True)
        if any(verdict.fault for verdict in verdicts.values()):
            faults += 1
        else:
            path.unlink()
    for name in ("inspect", "monitor"):
        print(f"{name}: {read[name]:,} lines of {files - refused[name]} files read, {refused[name]} files refused")
    print(f"{faults} files broke a rule")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
