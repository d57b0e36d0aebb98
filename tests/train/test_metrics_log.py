import csv

import numpy as np
import pytest

from atrous.errors import DataError
from atrous.train.metrics_log import MetricsLog, SilentLog


def _rows(folder):
    with (folder / "metrics.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_rows_are_filled_in_by_step(tmp_path):
    log = MetricsLog(tmp_path, last_step=0)
    log.add(10, {"loss": 2.0})
    log.add(20, {"loss": 1.0})
    log.add(20, {"val_mean_iou": 0.5})
    log.add_picture(20, "preview/a", np.zeros((4, 6, 3), np.uint8))
    log.close()
    assert _rows(tmp_path) == [
        {"step": "10", "loss": "2.0", "val_mean_iou": ""},
        {"step": "20", "loss": "1.0", "val_mean_iou": "0.5"},
    ]
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_resumed_run_forgets_what_lies_after_its_checkpoint(tmp_path):
    first = MetricsLog(tmp_path, last_step=0)
    for step in (10, 20, 30):
        first.add(step, {"loss": float(step)})
    first.close()
    second = MetricsLog(tmp_path, last_step=20)
    second.add(30, {"loss": 3.5})
    second.close()
    assert [(row["step"], row["loss"]) for row in _rows(tmp_path)] == [
        ("10", "10.0"),
        ("20", "20.0"),
        ("30", "3.5"),
    ]


def test_a_silent_log_takes_all_that_the_other_one_does():
    def public(kind):
        return {name for name in vars(kind) if name[0] != "_"}

    assert public(SilentLog) == public(MetricsLog)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"loss\n0.5\n", b"step,loss\nten,0.5\n"])
def test_a_damaged_table_is_named(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path}/metrics\.csv: is damaged .*--resume"):
        MetricsLog(tmp_path, last_step=10)
