import re

import pytest

from atrous.train.report import scores
from atrous.train.report.run_record import read_run


def _tiles(html):
    return re.findall(r"<span>([^<]*)</span><strong>([^<]*)</strong><small>([^<]*)<", html)


def test_the_result_of_a_finished_run(finished_run, evaluation):
    assert _tiles(scores.result(read_run(finished_run), evaluation)) == [
        ("mIoU", "44.6 %", "7 images of &#x27;val&#x27;"),
        ("pixel accuracy", "71.4 %", "7 images of &#x27;val&#x27;"),
        ("time", "2 h 05 min", "&lt;i&gt;fast&lt;/i&gt;"),
        ("steps", "60", "batches of 16, best at 20"),
    ]


def test_the_result_of_a_stopped_run_is_the_best_so_far(stopped_run):
    tiles = _tiles(scores.result(read_run(stopped_run), None))
    assert [value for _, value, _ in tiles] == ["40.0 %", "80.0 %", "n/a", "30 of 60"]


def test_the_result_of_a_run_that_only_began(stopped_run):
    for name in ("metrics.csv", "speed.csv"):
        (stopped_run / name).unlink()
    tiles = _tiles(scores.result(read_run(stopped_run), None))
    assert [value for _, value, _ in tiles] == ["n/a", "n/a", "n/a", "0 of 60"]


@pytest.mark.parametrize(
    ("minutes", "shown"), [(0.44, "0.4 min"), (12.2, "12 min"), (90, "1 h 30 min")]
)
def test_the_time_is_readable(stopped_run, minutes, shown):
    run = read_run(stopped_run, {"minutes": minutes})
    assert f"<strong>{shown}</strong>" in scores.result(run, None)


def test_there_are_four_charts(stopped_run):
    html = scores.curves(read_run(stopped_run))
    assert re.findall(r'aria-label="([^"]*)"', html) == [
        "Loss",
        "Validation",
        "Learning rate",
        "Speed",
    ]
    assert "step 20: mIoU 40, pixel accuracy 80" in html
    assert "step 20: images per second 21.5" in html


def test_without_numbers_there_are_no_curves(stopped_run):
    for name in ("metrics.csv", "speed.csv"):
        (stopped_run / name).unlink()
    run = read_run(stopped_run)
    assert scores.curves(run) == ""
    assert scores.classes(run, None) == ""


def test_the_classes_over_time_are_a_few_in_a_chart(stopped_run):
    columns = [f"val_iou/class {k}" for k in range(8)]
    rows = [[step, 0.5, *(k / 10 + step / 1000 for k in range(8))] for step in (10, 20)]
    lines = [["step", "val_mean_iou", *columns], *rows]
    text = "\n".join(",".join(map(str, line)) for line in lines)
    (stopped_run / "metrics.csv").write_text(text)
    html = scores.classes_over_time(read_run(stopped_run))
    assert re.findall(r'aria-label="([^"]*)"', html) == [
        "Classes 1 to 6 of 8",
        "Classes 7 to 8 of 8",
    ]
    assert "step 10: class 7 71, class 6 61" in html
    assert "step 20: class 1 12, class 0 2" in html


def test_one_validation_is_no_course_of_time(stopped_run):
    (stopped_run / "metrics.csv").write_text("step,val_mean_iou,val_iou/road\n10,0.5,0.5\n")
    assert scores.classes_over_time(read_run(stopped_run)) == ""


def test_every_class_has_a_bar_of_its_iou(finished_run, evaluation):
    html = scores.classes(read_run(finished_run), evaluation)
    rows = html.partition("<tbody>")[2].split("\n")
    assert re.findall(r'<rect width="([\d.]*)" height="8"></rect>', html) == ["69.2", "20.0"]
    assert re.findall(r"<td>([^<]*)</td>", rows[0]) == ["69.23", "90.00", "71.43"]
    assert re.findall(r"<td>([^<]*)</td>", rows[2]) == ["n/a", "n/a", "0.00"]
    assert "rgb(0,0,255)" in rows[1]


def test_a_stopped_run_shows_the_classes_of_its_best_validation(stopped_run):
    html = scores.classes(read_run(stopped_run), None)
    assert re.findall(r"<td>([^<]*)</td>", html) == ["70.00", "n/a", "n/a"]
