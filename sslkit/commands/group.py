"""A command with commands of its own, the first of which needs no name."""

from __future__ import annotations

from typing import NoReturn

import click


class Group(click.Group):
    """Bare, it lists; a word that is none of its commands is met with the one that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but for an unknown word."""
        if not ctx.resilient_parsing and args[0] not in self.commands and not args[0].startswith("-"):
            self.refuse(ctx, args[0])
        return super().resolve_command(ctx, args)

    def refuse(self, ctx: click.Context, word: str) -> NoReturn:
        """What to type instead: a command of nearly this name, or `show`, for the name of a thing."""
        from ..recipe.message import did_you_mean

        hint = did_you_mean(word, self.commands) or f"Did you mean `{ctx.command_path} show {word}`?"
        ctx.fail(f"There is no command `{ctx.command_path} {word}`. {hint}")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def list_if_bare(ctx: click.Context, command: click.Command, as_json: bool) -> None:
    """What a group does by itself: it lists, where no command of it is named."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(command, as_json=as_json)
    elif as_json:
        raise click.UsageError(f"--json belongs behind `{ctx.invoked_subcommand}`")
