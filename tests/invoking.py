"""Commands as they are typed, in this process: what they print, and how they end."""

from click.testing import CliRunner

from sslkit import cli


def succeeds(command):
    """`call(*args)`: what `sslkit COMMAND` prints, where it succeeds."""

    def call(*args):
        done = CliRunner().invoke(cli.cli, [command, *map(str, args)], prog_name="sslkit")
        assert done.exit_code == 0, done.output
        return done.stdout

    return call


def fails(command):
    """`call(*args)`: what it says when it fails, without a traceback."""

    def call(*args):
        done = CliRunner().invoke(cli.cli, [command, *map(str, args)], prog_name="sslkit")
        assert done.exit_code == 2, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done.output

    return call
