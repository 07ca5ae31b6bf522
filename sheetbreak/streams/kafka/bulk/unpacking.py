"""Unpacking: the bytes of a batch, by each of Kafka's codecs, piece by piece, so that a bound on them holds.

kafka-python unpacks a batch whole, whatever it comes to: 300 kB that a sender has sent are 300 MB then, three times.
"""

# ruff: noqa: SLF001 - as in consumer.py

import io
import struct
import zlib
from collections.abc import Iterator

from kafka import codec as codecs
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

_PIECE = 1024 * 1024
_XERIAL_HEADER_BYTES = 16
_BLOCK_BYTES = struct.Struct("!i")


class Unreadable(Exception):
    """Why a batch is not unpacked, as the end of a sentence."""


def unpack(content: bytes, codec: int, *, limit: int) -> bytes:
    """What a batch holds behind its header. codec: as in its attributes. Raises Unreadable where it is more than
    `limit` bytes, of which not many more are unpacked, or is nothing of that codec, whose library is there.
    """
    pieces, size = list[bytes](), 0
    try:
        for piece in _pieces(content, codec, limit):
            size += len(piece)
            _check(size, limit)
            pieces.append(piece)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # each library has its own, lz4 a bare RuntimeError
        raise Unreadable(f"cannot be unpacked: {str(error) or type(error).__name__}") from error
    return b"".join(pieces)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise Unreadable(f"unpacks to more than {limit:,} bytes")


def _pieces(content: bytes, codec: int, limit: int) -> Iterator[bytes]:
    match codec:
        case DefaultRecordBatch.CODEC_NONE:
            yield content
        case DefaultRecordBatch.CODEC_GZIP:
            yield from _gzip(content)
        case DefaultRecordBatch.CODEC_SNAPPY:
            yield from _snappy(content, limit)
        case DefaultRecordBatch.CODEC_LZ4:
            yield from _lz4(content)
        case _:
            yield from _zstd(content)


def _gzip(content: bytes) -> Iterator[bytes]:
    while content:  # one member after the other
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while True:
            piece = member.decompress(content, _PIECE)
            yield piece
            if member.eof:
                break
            content = member.unconsumed_tail
            if not piece and not content:
                raise EOFError("it is cut off")
        content = member.unused_data.lstrip(b"\0")


def _snappy(content: bytes, limit: int) -> Iterator[bytes]:
    if not codecs._detect_xerial_stream(content):
        yield codecs.snappy.decompress(_bounded(content, limit))
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(content):
        (length,) = _BLOCK_BYTES.unpack_from(content, at)
        at += _BLOCK_BYTES.size
        if not 0 < length <= len(content) - at:
            raise EOFError(f"a block of {length} bytes")
        yield codecs.snappy.decompress(_bounded(content[at : at + length], limit))
        at += length


def _bounded(block: bytes, limit: int) -> bytes:
    """The block, whose first bytes say what it unpacks to, as a varint that is not zigzag."""
    zigzag, _ = decode_varint(block, 0)
    _check(2 * zigzag if zigzag >= 0 else -2 * zigzag - 1, limit)
    return block


def _lz4(content: bytes) -> Iterator[bytes]:
    frame = codecs.lz4.LZ4FrameDecompressor()
    piece = frame.decompress(content, _PIECE)
    while True:
        yield piece
        if frame.eof:
            return
        if frame.needs_input:
            raise EOFError("it is cut off")
        piece = frame.decompress(b"", _PIECE)


def _zstd(content: bytes) -> Iterator[bytes]:
    with codecs.zstd.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True) as reader:
        while piece := reader.read(_PIECE):
            yield piece
