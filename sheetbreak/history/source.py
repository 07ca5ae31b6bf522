"""Sources of a history: files opened, unpacked and read once, whatever they are, as the text of a table."""

import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sheetbreak.errors import DataError

TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".csv.zst", ".parquet", ".xlsx")
"""Names of files that are histories: what a folder is searched for."""
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How gzip, zstd, Parquet and workbooks begin."""
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SAMPLE = 4096
_SEPARATOR = re.compile(rb"[;\t|]|(?<!\d),|,(?!\d)")
"""Between digits a comma is hardly one."""
_MARKUP = re.compile(rb"<(\?xml|!doctype|!--|html|head|body|table|meta|style)", re.IGNORECASE)
_JSON = re.compile(rb"\[?\s*\{\s*(\"|$)")
_NEARLY_ALL = 0.8
_FEWEST_SIGNS = 4
"""Different ones beyond ASCII: a name with Ž or Š in it is no Japanese."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read."""

    path: Path
    text: bytes
    """Lines of a table, in an encoding that has ASCII within."""
    encoding: str
    sha256: str
    """Of the bytes as they came."""
    other_sheets: tuple[str, ...] = ()
    """Of a workbook: sheets that hold as much, and were not read."""

    @property
    def name(self) -> str:
        """As messages say it."""
        return self.path.name


def read_source(path: Path, *, encoding: str | None = None, sheet: str | None = None, strict: bool = True) -> Source:
    """Read a file, pipe or workbook to its end, once.

    encoding: what the schema says; else it is recognised. strict: the sheet must be there. Raises DataError when it
    cannot be read or is no table.
    """
    try:
        raw = path.read_bytes()
    except OSError as cause:
        raise DataError(f"{path}: {cause.strerror}; name a CSV file with a header line") from cause
    sha256 = hashlib.sha256(raw).hexdigest()
    content = unpack(raw, path)
    if content.startswith(b"PAR1"):
        from sheetbreak.history.tables import parquet_as_csv

        return Source(path, parquet_as_csv(content, path), "utf-8", sha256)
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        from sheetbreak.history.tables import workbook_as_csv

        text, others = workbook_as_csv(content, path, sheet=sheet, strict=strict)
        return Source(path, text, "utf-8", sha256, others)
    text, found = as_text(content, path, encoding=encoding)
    if not text.strip():
        raise DataError(f"{path} is empty; expected a header line and one row a sampling period")
    if _is_set_in_blanks(text):
        message = "its columns are set apart by blanks alone, at fixed places"
        raise DataError(f"{path}: {message}; save it with a comma, a semicolon or a tab between them")
    return Source(path, text, found, sha256)


def check_is_table(start: bytes, name: str) -> None:
    """Raises DataError for a text that is no table, by how it begins, with what it is."""
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _MARKUP.match(start):
        how = "HTML or XML, as some programs write under the name .xls"
        raise DataError(f"{name}: it is {how}; open it in a spreadsheet program and save it as .xlsx or .csv")
    if _JSON.match(start):
        remedy = "export a table: rows as JSON, one a line, are what monitor reads from a file named .ndjson"
        raise DataError(f"{name}: it is JSON; {remedy}")


def _is_set_in_blanks(text: bytes) -> bool:
    """Whether nearly all lines are as many cells, with two blanks or more between them and no other separator."""
    lines = [line for line in text[: 4 * _SAMPLE].split(b"\n")[:-1] if line.strip()]
    cells = [re.split(rb"  +", line.strip()) for line in lines if not _SEPARATOR.search(line)]
    width, alike = Counter(map(len, cells)).most_common(1)[0] if cells else (0, 0)
    return width > 2 and len(lines) > 2 and alike >= _NEARLY_ALL * len(lines)


def unpack(raw: bytes, path: Path) -> bytes:
    """The content of a gzip or zstd file, whatever its name; anything else as it is. Raises DataError."""
    try:
        if raw.startswith(b"\x1f\x8b"):
            return gzip.decompress(raw)
        if raw.startswith(b"\x28\xb5\x2f\xfd"):
            return _unpack_zstd(raw, path)
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(f"{path}: the compressed file is damaged or cut short ({cause}); copy it again") from cause
    return raw


def _unpack_zstd(raw: bytes, path: Path) -> bytes:
    try:
        import zstandard
    except ImportError as cause:
        raise DataError(f"{path}: a .zst file needs the package zstandard: pip install 'sheetbreak[files]'") from cause
    try:
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as reader:
            return reader.read()
    except zstandard.ZstdError as cause:
        raise OSError(str(cause)) from cause


def as_text(content: bytes, path: Path, *, encoding: str | None = None) -> tuple[bytes, str]:
    """(lines, their encoding): UTF-16 becomes UTF-8, old line ends become new ones, the rest stays as it is."""
    found = encoding if encoding is not None and not content.startswith(b"\xef\xbb\xbf") else None
    wide = found if found is not None and found.startswith(("utf-16", "utf-32")) else _wide(content)
    if wide is not None:
        try:
            content, found = content.decode(wide).encode("utf-8"), "utf-8"
        except UnicodeDecodeError as cause:
            raise DataError(f"{path}: not {wide.upper()} at byte {cause.start + 1}; save it as UTF-8") from cause
    if b"\n" not in content and b"\r" in content:
        content = content.replace(b"\r", b"\n")
    return content, found or recognise_encoding(content)


def recognise_encoding(content: bytes) -> str:
    """UTF-8; where no letter beyond ASCII is UTF-8 cp1252, or cp932, as a Japanese Windows writes; a few odd bytes in
    UTF-8 are told with their line.
    """
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        if any(ord(sign) > 127 for sign in content.decode("utf-8", errors="ignore")):
            return "utf-8"
        if _is_japanese(content):
            return "cp932"
        try:
            content.decode("cp1252")
        except UnicodeDecodeError:
            return "utf-8"
        return "cp1252"
    return "utf-8"


def _is_japanese(content: bytes) -> bool:
    """Whether bytes are cp932: they decode, and most signs begin with a byte that is seldom a letter in cp1252."""
    try:
        signs = {sign for sign in content.decode("cp932") if ord(sign) > 127}
    except UnicodeDecodeError:
        return False
    low = sum(0x81 <= sign.encode("cp932")[0] <= 0x9F for sign in signs)
    return len(signs) >= _FEWEST_SIGNS and 2 * low > len(signs)


def _wide(content: bytes) -> str | None:
    """UTF-16, by its mark or by every second byte of plain letters being nought."""
    if content[:2] in _UTF16:
        return _UTF16[content[:2]]
    sample = content[:_SAMPLE]
    if len(sample) > 3:
        for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if not any(sample[start::2][:-1]) and all(sample[1 - start :: 2][:8]):
                return name
    return None


def digest_of(sources: Iterable[Source]) -> str:
    """One sha256 for what was read: the file's own, or of all files' in their order."""
    hashes = [source.sha256 for source in sources]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
