"""Writes docs/run.svg: what a finished run prints at its end, as a terminal shows it.

python docs/picture.py runs/noisy_student
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console

from sslkit import Run
from sslkit.tables import results


def main(folder: str) -> None:
    """The results of the run in `folder`."""
    console = Console(record=True, width=76, file=io.StringIO(), force_terminal=True)
    run = Run(folder)
    console.print(f"[bold]$[/] sslkit run recipes/{run.summary['recipe']}.toml")
    console.print(results(run.summary, f"runs/{run.summary['recipe']}"))
    (Path(__file__).parent / "run.svg").write_text(console.export_svg(title="sslkit"))


if __name__ == "__main__":
    main(*sys.argv[1:])
