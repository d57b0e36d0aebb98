import numpy as np

from atrous.data.doctor.check import Plan
from atrous.data.doctor.samples import check_samples
from atrous.data.sample import Sample
from atrous.errors import DataError


class Made:
    """Samples whose images are their numbers; some cannot be read, some have no label."""

    def __init__(self, numbers, *, unreadable=(), empty=()):
        self.numbers, self.unreadable, self.empty = numbers, unreadable, empty
        self.read = 0

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        self.read += 1
        number = self.numbers[index]
        if number in self.unreadable:
            raise DataError(f"{number}.png: is cut off")
        labels = np.full((64, 96), 255 if number in self.empty else 0, np.uint8)
        return Sample(np.full((64, 96, 3), number, np.uint8), labels, f"{number}.png")


def test_what_is_wrong_with_single_samples_is_found_by_name():
    train = Made([1, 2, 3, 4], unreadable=[2], empty=[3])
    report = check_samples("streets", {"train": train, "val": Made([4, 5])}, Plan())
    found = {finding.kind: str(finding) for finding in report.findings}
    assert set(found) == {"image-unreadable", "all-ignored", "split-overlap"}
    assert "2.png: is cut off" in found["image-unreadable"]
    assert "train/3.png" in found["all-ignored"]
    assert "train/4.png" in found["split-overlap"]
    assert report.pairs == {"train": 4, "val": 2}


def test_of_large_sets_32_samples_are_read_from_end_to_end():
    samples = Made(list(range(250)))
    assert not check_samples("streets", {"train": samples}, Plan()).findings
    assert samples.read == 32


def test_rates_too_wide_for_the_images_are_found_and_those_that_suit_are_not():
    wide, narrow = (
        check_samples("streets", {"train": Made([1])}, Plan(output_stride=16, rates=rates))
        for rates in [(12, 24, 36), (1, 2)]
    )
    assert any("taps" in finding.kind for finding in wide.findings)
    assert not any("taps" in finding.kind for finding in narrow.findings)
