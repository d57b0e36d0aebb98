import signal

import pytest
import torch

from atrous.data import open_dataset
from atrous.models import create_model
from atrous.train.interruption import Interruption, StoppedError
from atrous.train.metrics_log import MetricsLog
from atrous.train.progress import SilentProgress
from atrous.train.validation import row, validate


@pytest.fixture
def judge(tmp_path):
    dataset = open_dataset("shapes", "val", size=(32, 48))  # of six images
    torch.manual_seed(0)
    model = create_model("lraspp", backbone="lcnet_035", classes=dataset.classes)
    log = MetricsLog(tmp_path, last_step=0)

    def run(previews, interruption):
        return validate(
            model,
            dataset,
            step=3,
            device="cpu",
            previews=previews,
            folder=tmp_path / "preview",
            log=log,
            progress=SilentProgress(),
            interruption=interruption,
        )

    yield run
    log.close()


@pytest.mark.parametrize(("previews", "written"), [(0, []), (2, [0, 3]), (9, [0, 1, 2, 3, 4, 5])])
def test_pictures_are_of_images_spread_over_all(tmp_path, judge, previews, written):
    judge(previews, Interruption())
    names = sorted(path.stem for path in tmp_path.glob("preview/*.png"))
    assert [int(name.rpartition("-")[2]) for name in names] == written


def test_a_row_has_the_scores_of_all_classes(judge):
    evaluation = judge(0, Interruption())
    values = row(evaluation)
    assert values["val_mean_iou"] == evaluation.scores.mean_iou
    assert [name for name in values if name.startswith("val_iou/")] == [
        f"val_iou/{name}" for name in evaluation.classes
    ]


def test_a_signal_ends_it(judge):
    interruption = Interruption()
    interruption.signal = signal.SIGTERM
    with pytest.raises(StoppedError):
        judge(0, interruption)
