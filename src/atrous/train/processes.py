"""How many processes train together."""

import os

from atrous.errors import UsageError


def refuse_several_processes() -> None:
    """Make sure that this training is one process.

    Raises:
        UsageError: torchrun or a cluster started several, which would each train, on their own,
            into one folder.
    """
    world_size = os.environ.get("WORLD_SIZE", "1")
    if world_size != "1":
        raise UsageError(
            f"WORLD_SIZE is {world_size}, but a training is one process so far; start it without "
            "torchrun, or unset WORLD_SIZE"
        )
