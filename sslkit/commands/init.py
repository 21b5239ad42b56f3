"""`sslkit init`: from a folder of images to a recipe that fits it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..starting.proposing import Started

MINUTES = 6.0  # measured at one moment: machines that others use, too, take longer
"What a first run may take."


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE",
              help="The recipe to write, which must be new. By default FOLDER.toml, here.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=MINUTES, show_default=True, metavar="N",
              help="How long the run may take on this machine; its steps are set by that.")  # fmt: skip
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True,
              help="A key of the recipe's [data], e.g. `--set labels_per_class=25`; repeatable.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was found and proposed as JSON.")
def init(folder: Path, out: Path | None, minutes: float, settings: tuple[str, ...], as_json: bool) -> None:
    """Look at FOLDER, and write a recipe that trains on its images.

    Expected are images as labeled/CLASS/FILE (or train/CLASS/FILE), unlabeled/FILE, and, where there are some to measure
    by, test/CLASS/FILE and validation/CLASS/FILE; folders of classes may also lie in FOLDER itself, beside unlabeled/.
    Other formats are recognized by the data plugins that open them (`sslkit plugins list --section data`).

    The size of images, network, batch, steps and threshold are proposed by rules that go by the images, the classes and
    this machine, whose speed is measured; each stands in the recipe with its reason. The recipe runs offline as it is.
    Nothing is ever asked, and no file is replaced. The same images and the same speed give the same recipe. Where looking
    at every image takes no more than minutes, the recipe leaves out those that cannot be read and copies of test images;
    what was found of each is remembered in FOLDER/.sslkit.
    """
    from ..network import require_timm

    require_timm()
    from rich.console import Console

    from ..starting.proposing import start

    with Console(stderr=True).status("looking") as status:  # drawn on a terminal only

        def say(text: str) -> None:
            status.update(text)
            (status.start if text else status.stop)()

        done = start(folder, out, minutes, data_settings(settings), say)
    if as_json:
        from json import dumps

        click.echo(dumps(plain(done), indent=1, ensure_ascii=False))
    else:
        show(done, folder)


def data_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`["labels_per_class=25"]` -> `{"labels_per_class": 25}`; `data.` may stand before. Raises `RecipeError`."""
    from ..errors import RecipeError
    from .options import overrides

    said = {path.removeprefix("data."): value for path, value in overrides(settings).items()}
    if other := next((path for path in said if "." in path or path == "use"), None):
        raise RecipeError(
            f"--set {other}: here it sets keys of [data] alone; change the rest in the recipe that is written"
        )
    return said


def plain(done: Started) -> dict[str, Any]:
    """What programs are told."""
    from dataclasses import asdict

    return {
        "recipe": str(done.path),
        "data": {key: str(value) if isinstance(value, Path) else value for key, value in done.data.items()},
        "template": done.template,
        "classes": list(done.facts.classes),
        "splits": {one.name: {"images": one.images, "of_a_class": one.counts} for one in done.facts.splits},
        "machine": asdict(done.machine),
        "proposed": {name: {"value": one.value, "why": one.why} for name, one in done.proposal.items()},
        "seconds": done.seconds,
    }  # fmt: skip


def show(done: Started, folder: Path) -> None:
    """What was found, what is odd, what is proposed, and how to go on."""
    from rich.console import Console
    from rich.text import Text

    from ..check.tree import remark
    from ..images.words import shown
    from ..starting.words import oddities, proposed, table_of
    from ..tables import duration, make_console

    console = make_console(Console)
    facts = done.facts
    console.print(
        Text(f"{len(facts.classes):,} classes in {shown(str(folder))}, which {done.data['use']} opens", "bold")
    )
    console.print(Text(""), table_of(facts), Text(""), sep="\n")
    for text in [*done.recognized.found, *facts.notes]:
        console.print(remark("note", text, "dim"))
    for text in oddities(facts):
        console.print(remark("warning", text, "yellow"))
    console.print(Text(""), Text(f"proposed for {done.machine.words}", "bold"), proposed(done.proposal), sep="\n")
    recipe = shlex.quote(str(done.path))
    console.print(Text(f"\nwrote {done.path}, where each value stands with its reason"))
    console.print(Text(f"next  sslkit check {recipe}    draws what it composes", overflow="fold"))
    console.print(Text(f"      sslkit run {recipe}      takes about {duration(done.seconds)}", overflow="fold"))
