"""What pages that are made for a browser share: colours of light and dark, a policy that lets nothing in, safe JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

BASE_STYLE = """
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f7f9, #14171b); --card: light-dark(#fff, #1e2328); --ink: light-dark(#1b1f24, #e8eaed);
  --faint: light-dark(#5d6672, #a0a8b3); --line: light-dark(#d9dde3, #343b44); --main: light-dark(#0b63ce, #7ab4ff);
  --on-main: light-dark(#fff, #0b1826); --wrong: light-dark(#b3261e, #ff9a91); --done: light-dark(#1a7f4b, #6fd49d);
  --empty: light-dark(#eceff3, #2a3038);
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
small { color: var(--faint); font-weight: normal; font-size: .85rem; }
p { margin: 0; }
button, input, select { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
@media print {
  :root { color-scheme: light !important; --paper: #fff; --card: #fff; --ink: #000; --faint: #444; --line: #bbb;
    --empty: #eee; --main: #333; --wrong: #8c1d18; --done: #14633a; }
}
"""
"Colours by `light-dark()`: what `color-scheme` says of the page, the reader's system or a button decides them."


def template(text: str) -> Any:
    """A jinja2 template that escapes all it is given; what is not given is an error."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.from_string(text)


def digest(script: str) -> str:
    """A script by which a content security policy knows it: base64 of its SHA-256."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def policy(*scripts: str, saves: bool = False) -> str:
    """A content security policy: these scripts, the page's own style, pictures inside it, and nothing else.

    `saves`: also pictures that a script of the page makes (`blob:`), as plotly does to save a figure.
    """
    allowed = " ".join(f"'sha256-{digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; img-src data:{' blob:' * saves}; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; "
        "form-action 'none'"
    )


def as_json(value: Any) -> str:
    """JSON that may stand in a `<script>`: no character in it ends that, or a line of JavaScript."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
