"""Text that comes from a file, made safe to print: one line, no control or direction characters, bounded length."""

from __future__ import annotations


def clean_text(value: object, *, limit: int = 120) -> str:
    """A value from a file as text that cannot steer a terminal.

    Control characters, escape sequences, direction marks, invisible characters and lone surrogates are shown as their
    code point. HTML is not escaped here: that is the renderer's work.

    Args:
        value: anything; None gives "".
        limit: characters kept before the rest is cut and marked by an ellipsis.
    """
    if value is None:
        return ""
    text = str(value)
    shown = text[:limit] + ("…" if len(text) > limit else "")
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in shown)
