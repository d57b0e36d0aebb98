"""The report of a run in a real browser: no error, no request, nothing wider than the window."""

import shutil
import subprocess

import numpy as np
import pytest
import torch

from atrous.data import Sample
from atrous.evaluate import Evaluation
from atrous.files import write_text
from atrous.metrics import ConfusionMatrix
from atrous.recipe import load_recipe
from atrous.train.report import ImageRanking, write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
HOSTILE = "<script>console.error('ran')</script>"
CLASSES = (HOSTILE, '"><img src=http://example.org/x onerror=console.error(1)>', "long " * 40)
PALETTE = ((128, 64, 128), (0, 0, 255), (250, 170, 30))

# Shows the page in frames of two widths, and says how wide each would like to be.
FRAMES = """<!doctype html><title>measuring</title>
<iframe src="report.html" style="width:1280px;height:900px"></iframe>
<iframe src="report.html" style="width:420px;height:900px"></iframe>
<script>
onload = () => {
  const roots = [...document.querySelectorAll("iframe")].map(f => f.contentDocument.documentElement)
  document.body.innerHTML = roots.map(r => `<p>${r.clientWidth} ${r.scrollWidth}</p>`).join("")
}
</script>
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed")


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
    write_text(folder / "frames.html", FRAMES)
    return folder


def _browse(path, profile):
    """Return the document as the browser sees it, and what it wrote to its console."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files")
    quiet = ("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND")
    result = subprocess.run(
        [
            *(CHROMIUM, *options, *quiet, f"--user-data-dir={profile}"),
            *("--enable-logging=stderr", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return result.stdout, [line for line in result.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_opens_from_disk_without_a_word(run_folder, tmp_path):
    document, console = _browse(run_folder / "report.html", tmp_path)
    assert "<h2>Files</h2>" in document
    assert "<script" not in document
    assert console == []


def test_the_page_fits_a_wide_and_a_narrow_window(run_folder, tmp_path):
    document, console = _browse(run_folder / "frames.html", tmp_path)
    widths = [line.split() for line in document.partition("<body>")[2].split("<p>")[1:]]
    clients = [int(client) for client, _ in widths]
    assert clients[0] > 1200
    assert 380 < clients[1] <= 420
    assert [int(wanted.partition("<")[0]) for _, wanted in widths] == clients
    assert console == []
