"""The processes that train together, each on its part of every batch: one, or what torchrun starts.

They hold the same weights and decide alike: what decides is a sum over all, or of the first one.
Only the first one writes. Gradients on GPUs go over NCCL, all else over gloo.
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from atrous.devices import pick_device
from atrous.errors import ResourceError, UsageError

T = TypeVar("T")

# A process that ends is seen at once, as its connections close. One that is waited for is at work:
# the first writes checkpoints, and measures the best weights at the end.
_LONGEST_WAIT = timedelta(days=1)
_FAILED = "atrous/failed"  # where the first process that fails leaves its number and exit code
_HEARD = "atrous/heard"  # how many processes know
_LOST = re.compile("gloo|nccl|connection|socket", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """The processes of one training, as one of them sees them; by default it is alone.

    The methods are called by all processes in the same order, and return the same in each.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        local_rank: Its number among those on this machine.
        local_size: How many there are on each machine.

    Example:
        >>> ALONE.sum(torch.ones(2)), ALONE.largest(3, 0.5), ALONE.part_of(8)
        (tensor([1., 1.]), [3, 0.5], 8)
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, number by number."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def largest(self, *numbers: float) -> list[float]:
        """Return the largest in any process of each of the numbers."""
        if self.size == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return values.tolist()

    def of_first(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in the first process; only there it is called."""
        if self.size == 1:
            return make()
        box = [make() if self.is_first else None]
        distributed.broadcast_object_list(box)
        return box[0]  # pyright: ignore[reportReturnType]

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors, those of floating point, by those of the first process."""
        tensors = [tensor for tensor in tensors if tensor.is_floating_point()]
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.broadcast(flat, src=0)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def part_of(self, batch_size: int) -> int:
        """Return how many images of a batch each process takes.

        Raises:
            UsageError: They are not the same for all.
        """
        part, rest = divmod(batch_size, self.size)
        if rest:
            near = [size for size in (part * self.size, (part + 1) * self.size) if size]
            raise UsageError(
                f"train.batch_size is {batch_size}, of which {self.size} processes cannot have "
                f"equal parts; take {' or '.join(map(str, near))}"
            )
        return part

    def pick_device(self, name: str) -> torch.device:
        """Return the device called `name`, on GPUs one for each process.

        Raises:
            UsageError: There is none, or it would be shared.
        """
        device = pick_device(name)
        if self.size == 1 or device.type == "cpu":
            return device
        if device.type == "cuda" and device.index is None:
            return pick_device(f"cuda:{self.local_rank}")
        raise UsageError(
            f"device '{device}' is one for {self.size} processes; use --device cuda, for one GPU "
            "each, or cpu"
        )


ALONE = World()


@contextmanager
def joined() -> Iterator[World]:
    """Connect the processes that torchrun started; they leave together.

    Raises:
        UsageError: WORLD_SIZE is set, but not the other variables that torchrun sets.
        ResourceError: Another process ended without a word.
        SystemExit: Another process failed, and says why; with its exit code.
    """
    world = _world(os.environ)
    if world.size == 1:
        yield world
        return
    store = _connect()
    try:
        yield world
        world.largest(0)  # until the first has written all
    except BaseException as error:
        _let_one_speak(store, world, error)
        raise
    distributed.destroy_process_group()


def refuse_several_processes(what: str) -> None:
    """Make sure that this process is alone.

    Raises:
        UsageError: torchrun or a cluster started several, which would do the same each.
    """
    if (size := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UsageError(f"WORLD_SIZE is {size}, but {what} is one process; start it alone")


def _world(variables: Mapping[str, str]) -> World:
    size = variables.get("WORLD_SIZE", "1")
    if size == "1":
        return ALONE
    try:
        rank, local_rank, local_size = (
            int(variables[name]) for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        )
        return World(rank, int(size), local_rank, local_size)
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"WORLD_SIZE is {size}, but of its processes {error} is not known; start them by "
            "torchrun, or unset WORLD_SIZE"
        ) from error


def _connect() -> Store:
    """Connect all processes, and return what they can leave words for each other in."""
    store, rank, size = next(rendezvous("env://"))
    store.set_timeout(_LONGEST_WAIT)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=_LONGEST_WAIT
    )
    return store


def _let_one_speak(store: Store, world: World, error: BaseException) -> None:
    """Return if this process is the first that fails; end it otherwise, without a word."""
    lost = isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None
    code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)
    mine = f"{world.rank} {ResourceError.exit_code if lost else code}"
    try:
        first = store.compare_set(_FAILED, "", mine).decode()
        _leave(store, world, longest=5.0 if lost else 60.0)
    except RuntimeError:  # the store went with the first process, which was killed
        first = mine
    if first != mine:
        raise SystemExit(int(first.split()[1])) from error
    if lost:
        raise ResourceError(
            "another process of this training ended without a word, or cannot be reached any more; "
            "see that no machine is out of memory"
        ) from error


def _leave(store: Store, world: World, *, longest: float) -> None:
    """Cut the connections, so that the others notice at their next step, and let them read.

    The store lives in the first process, which therefore stays for the others, `longest` seconds.
    """
    with suppress(RuntimeError):
        distributed.destroy_process_group()
    heard, until = store.add(_HEARD, 1), time.monotonic() + longest
    while world.is_first and heard < world.size and time.monotonic() < until:
        time.sleep(0.02)
        heard = store.add(_HEARD, 0)
