"""The report of a run in a real browser: no error, no request, nothing wider than the window."""

import numpy as np
import pytest
import torch

from atrous.data import Sample
from atrous.evaluate import Evaluation
from atrous.files import write_text
from atrous.metrics import ConfusionMatrix
from atrous.recipe import load_recipe
from atrous.train.report import ImageRanking, write_report

HOSTILE = "<script>console.error('ran')</script>"
CLASSES = (HOSTILE, '"><img src=http://example.org/x onerror=console.error(1)>', "long " * 40)
PALETTE = ((128, 64, 128), (0, 0, 255), (250, 170, 30))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Return a run directory with a report about hostile names."""
    folder = tmp_path_factory.mktemp("run")
    write_text(folder / "recipe.yaml", load_recipe("shapes-quick", [f"name={HOSTILE}"]).to_yaml())
    write_text(folder / "metrics.csv", "step,loss,val_mean_iou\n10,1.5,0.2\n20,0.5,0.4\n")
    confusion = ConfusionMatrix(3)
    confusion.matrix += torch.tensor([[90, 10, 3], [30, 10, 3], [5, 5, 5]])
    ranking = ImageRanking(PALETTE)
    photo, labels = np.full((60, 80, 3), 99, np.uint8), np.zeros((60, 80), np.uint8)
    ranking.add(Sample(photo, labels, HOSTILE), torch.from_numpy(labels))
    evaluation = Evaluation(
        confusion.compute(), confusion.matrix.numpy(), CLASSES, PALETTE, 1, "made up"
    )
    write_report(folder, evaluation=evaluation, ranking=ranking)
    return folder


def test_the_page_opens_from_disk_without_a_word(run_folder, browse):
    document, console = browse(run_folder / "report.html")
    assert "<h2>Files</h2>" in document
    assert "<script" not in document
    assert console == []


def test_the_page_fits_a_wide_and_a_narrow_window(run_folder, widths):
    (wide, wanted), (narrow, wanted_there) = widths(run_folder / "report.html")
    assert wide > 1200
    assert 380 < narrow <= 420
    assert (wanted, wanted_there) == (wide, narrow)
