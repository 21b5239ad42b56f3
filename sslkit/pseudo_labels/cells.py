"""Texts in a CSV file that spreadsheets open: one that begins as a formula does must not be run as one.

An apostrophe is put before it, which spreadsheets know as the mark of a text. What was guarded can be told from what
was not, so that nothing is lost: a text of apostrophes and then such a sign gets one more.
"""

from __future__ import annotations

SIGNS = ("=", "+", "-", "@", "\t", "\r")
"What a formula begins with."
MARK = "'"


def guarded(text: str) -> str:
    """A text that no spreadsheet runs."""
    return MARK + text if text.lstrip(MARK).startswith(SIGNS) else text


def unguarded(text: str) -> str:
    """The text that was guarded."""
    return text[1:] if text.startswith(MARK) and text.lstrip(MARK).startswith(SIGNS) else text
