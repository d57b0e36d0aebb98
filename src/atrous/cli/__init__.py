"""The commands: each file turns words into one call of the library."""

from atrous.cli.main import main as main
