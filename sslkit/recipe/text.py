"""A recipe's bytes as text: TOML is UTF-8, and whatever else they are is said by its name."""

from __future__ import annotations

import codecs
import re

MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
"Byte-order marks, the longer ones first: one of UTF-32 begins with one of UTF-16."
SIGNS = {b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "a gzip archive", b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image"}  # fmt: skip
SAVE = "TOML is UTF-8: save it as UTF-8"
TOKENS = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|#[^\n]*+|[\[\]{}]""", re.DOTALL
)
"Strings and comments, in which brackets are none; brackets."
LOOKED_AT = 4096  # bytes, among which text has no zeros


def decoded(data: bytes) -> str:
    """The text of a TOML file, its lines ended by LF. Raises `ValueError` that says what the bytes are instead."""
    if found := encoding(data):
        raise ValueError(f"it is {found} text; {SAVE}")
    if what := next((what for start, what in SIGNS.items() if data.startswith(start)), ""):
        raise ValueError(f"it is {what}, not a TOML file")
    if b"\0" in data[:LOOKED_AT]:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ValueError(f"it is not valid TOML: line {line} holds a zero byte, so it is a binary file or damaged")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        received = f"line {line} holds the byte 0x{data[error.start]:02x}"
        raise ValueError(f"it is not UTF-8 text ({received}); {SAVE}") from error
    if "\r" in text and "\n" not in text:
        raise ValueError("its lines end with CR alone, as on old Macs; save it with LF or CR LF line ends")
    return text


def deep_line(text: str) -> int | None:
    """The number of the line with the bracket that lies deepest in a TOML text, outside of strings and comments."""
    depth, deepest, place = 0, 0, None
    for token in TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > deepest:
            deepest, place = depth, token.start()
    return None if place is None else text.count("\n", 0, place) + 1


def encoding(data: bytes) -> str:
    """The name of another encoding of Unicode, by its mark or, as recipes are mostly ASCII, by where its zeros are."""
    if marked := next((name for mark, name in MARKS.items() if data.startswith(mark)), ""):
        return marked
    first = data[:4]
    zeros = [byte == 0 for byte in first]
    if zeros in ([False, True, True, True], [True, True, True, False]):
        return "UTF-32"
    return "UTF-16" if zeros in ([False, True, False, True], [True, False, True, False]) else ""
