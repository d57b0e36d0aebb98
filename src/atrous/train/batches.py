"""Batches of augmented samples, read by worker processes, from any step of a run on."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from atrous.data import Dataset, open_dataset
from atrous.data.order import EndlessOrder
from atrous.data.transforms import Augmentation, TrainingSamples
from atrous.errors import AtrousError, DataError
from atrous.recipe import DataSection, TrainSection
from atrous.train.processes import ALONE, World
from atrous.train.worker_errors import (
    answer_within,
    lack_of_memory,
    none_left,
    prepare_worker,
)


def open_split(data: DataSection, split: str) -> Dataset:
    """Return a split of the data set that a recipe names.

    Raises:
        DataError: It is not what it should be.
        UsageError: The keys do not fit together.
    """
    return open_dataset(
        data.source, split, classes=data.classes, ignore=data.ignore, size=data.size
    )


def batches(
    dataset: Dataset,
    data: DataSection,
    settings: TrainSection,
    *,
    first_step: int,
    total_steps: int,
    pin_memory: bool = False,
    world: World = ALONE,
) -> Generator[tuple[Tensor, Tensor]]:
    """Yield the batches of the steps from `first_step` to before `total_steps`.

    Batch s holds samples s * B to (s + 1) * B - 1 of the run's endless stream, so that it is the
    same whether or not the batches before it were drawn. Of N processes, each takes B / N of them.

    Yields:
        Images (B / N, 3, h, w) uint8 and labels (B / N, h, w) uint8.

    Raises:
        DataError: A sample is not what it should be; the message names its file.
    """
    height, width, _ = dataset[0].image.shape
    augmentation = Augmentation(
        crop_size=data.crop_size or (height, width),
        scale=data.scale,
        flip=data.flip,
        brightness=data.brightness,
        contrast=data.contrast,
        saturation=data.saturation,
        hue=data.hue,
    )
    part = world.part_of(settings.batch_size)
    order = EndlessOrder(
        len(dataset),
        seed=settings.seed,
        start=first_step * settings.batch_size,
        stop=total_steps * settings.batch_size,
    )
    loader = DataLoader(
        _ErrorsAsValues(TrainingSamples(dataset, augmentation, seed=settings.seed)),
        batch_size=part,
        sampler=_Part(order, part, world),  # pyright: ignore[reportArgumentType], it yields (epoch, index)
        num_workers=data.workers,
        collate_fn=_collate,
        worker_init_fn=prepare_worker,
        pin_memory=pin_memory,
    )
    with none_left() as workers:
        drawn = iter(loader)
        try:
            for _ in range(first_step, total_steps):
                with answer_within(data.worker_timeout, workers):
                    batch = next(drawn)
                if isinstance(batch, AtrousError):
                    raise batch
                yield batch
        finally:
            del drawn  # with it torch ends the workers, all but the stuck ones


class _Part:
    """The samples of one process: of each batch, as many in a row as the others have."""

    def __init__(self, order: EndlessOrder, part: int, world: World) -> None:
        self.order, self.part, self.world = order, part, world

    def __len__(self) -> int:
        return len(self.order) // self.world.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for number, sample in enumerate(self.order):
            if number // self.part % self.world.size == self.world.rank:
                yield sample


class _ErrorsAsValues(TorchDataset[Any]):
    """Hands errors over as values: raised in a worker, torch would wrap them in a traceback."""

    def __init__(self, samples: TrainingSamples) -> None:
        self.samples = samples

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor] | AtrousError:
        try:
            return self.samples[index]
        except AtrousError as error:
            return error
        except Exception as error:  # of any data set, one from elsewhere too
            if ours := lack_of_memory(error, "a data worker"):
                return ours
            what = f"sample {index[1]} cannot be read ({type(error).__name__}: {error})"
            return DataError(f"{self.samples.dataset.name}: {what}; mend or remove it")


def _collate(samples: Sequence[Any]) -> Any:
    if errors := [sample for sample in samples if isinstance(sample, AtrousError)]:
        return errors[0]
    try:
        return tuple(default_collate(list(samples)))  # in a worker, it is put into shared memory
    except (RuntimeError, MemoryError, OSError) as error:
        if ours := lack_of_memory(error, "a data worker"):
            return ours
        raise
