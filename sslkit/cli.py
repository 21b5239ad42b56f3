"""The command line. Commands are found in a table and loaded when asked for, so that `--help` waits for nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

import click

from .errors import Interrupted, SslkitError

COMMANDS = {
    "init": ("sslkit.commands.init", "Look at folders of images, and write a recipe that fits them."),
    "run": ("sslkit.commands.run", "Train what a recipe describes, or go on with an unfinished run."),
    "check": ("sslkit.commands.check", "Draw what a recipe composes, warn of what looks unintended, try its losses."),
    "status": ("sslkit.commands.status", "Say how far a run is, from another terminal or after it ended."),
    "recipes": ("sslkit.commands.recipes", "List the recipes that come with sslkit, show one, or copy it."),
    "plugins": ("sslkit.commands.plugins", "List the installed plugins, or show one: settings, hooks, recipes."),
    "schema": ("sslkit.commands.schema", "Write what editors check and complete recipes by."),
    "study": ("sslkit.commands.study", "Run a recipe's variants over several seeds and compare them."),
    "evaluate": ("sslkit.commands.evaluate", "Measure a run's models: any generation, any metrics, any data."),
    "labels": ("sslkit.commands.labels", "Look at a run's pseudo-labels; export, compare and correct them."),
    "predict": ("sslkit.commands.predict", "Classify images with a run's model: files, folders, tars, or a list."),
    "export": ("sslkit.commands.export", "Write a run's model for other tools: timm, ONNX, torch.export."),
    "compare": ("sslkit.commands.compare", "Lay runs side by side: what differs in their recipes, and what came out."),
    "report": ("sslkit.commands.report", "Write one HTML page of runs, or of a study: figures, pictures, tables."),
}
"Command -> the module that holds a click command of the same name, and its line in `sslkit --help`."

FAILED, INTERRUPTED = 2, 130
"Exit codes: something its reader can mend; stopped by a signal, as shells count it."


class Commands(click.Group):
    """A group whose commands are imported when they run, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands from the table here: click would import each for its help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command is met with the one that was probably meant."""
        if not ctx.resilient_parsing and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"There is no command `{args[0]}`. {suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what a user can mend is said without a traceback."""
        with mended():
            return super().invoke(ctx)


def suggestion(word: str) -> str:
    """What to type instead of a word that is no command."""
    if word.endswith(".toml"):
        return f"Did you mean `sslkit run {word}`?"
    close = get_close_matches(word, COMMANDS, n=1, cutoff=0.6)
    return f"Did you mean `{close[0]}`?" if close else f"Commands: {', '.join(COMMANDS)}."


def show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Print versions and the device, where the option was given."""
    if value and not ctx.resilient_parsing:
        from .commands.version import lines

        for line in lines():
            click.echo(line)
        ctx.exit()


@contextmanager
def mended() -> Iterator[None]:
    """Turn errors into a message on stderr and an exit code."""
    try:
        yield
    except Interrupted as stop:
        leave(stop, INTERRUPTED, "")
    except SslkitError as error:
        leave(error, FAILED, "error: ")
    except KeyboardInterrupt:
        leave("stopped by Ctrl-C", INTERRUPTED, "")


def leave(message: object, code: int, label: str) -> NoReturn:
    """Print a message as it is: its brackets are no markup, its lines are not broken, and no terminal acts on it."""
    from rich.console import Console
    from rich.text import Text

    from .recipe.message import visible

    said = "\n".join([str(message), *getattr(message, "__notes__", [])])
    text = Text.assemble((label, "bold red"), "\n".join(map(visible, said.split("\n"))))
    Console(stderr=True, highlight=False, soft_wrap=True).print(text)
    raise SystemExit(code)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`sslkit COMMAND --help` explains a command.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version,
              help="Show versions and the device that runs use, and exit.")  # fmt: skip
def cli() -> None:
    """Semi-supervised image classification by self-training: a few labeled images teach many unlabeled ones.

    A recipe (TOML) says what is trained and how; every part of it is a plugin that one line swaps.
    """


def main() -> None:
    """The `sslkit` command."""
    from .output import forgive

    forgive()
    with mended():
        try:
            cli.main(prog_name="sslkit")  # which leaves by SystemExit
        finally:
            sys.stdout.flush()  # what does not fit must be said while the exit code can still say it
