import re

from atrous.train.report import ImageRanking
from atrous.train.report.gallery import images, previews


def test_the_worst_come_before_the_best(ranking):
    html = images(ranking, {"<road>": (1, 2, 3)})
    worst, best = html.split("<h3>Best</h3>")
    assert worst.count("<figure") == 8
    assert best.count("<figure") == 4
    assert html.count('<img src="data:image/') == 36
    assert "&lt;road&gt;</span>" in html
    shown = [float(score) for score in re.findall(r"<b>([\d.]*) %</b>", html)]
    assert shown[:8] == sorted(shown)[:8]
    assert shown[8:] == sorted(shown)[:-5:-1]


def test_without_ranked_images_there_is_nothing():
    assert images(None, {}) == ""
    assert images(ImageRanking([(0, 0, 0)]), {}) == ""


def test_a_run_that_was_never_ranked_shows_its_previews(stopped_run):
    html = previews(stopped_run)
    assert html.count('<img src="data:image/jpeg;base64,') == 1
    assert 'alt="seen &lt;b&gt;"' in html
    (stopped_run / "preview" / "seen <b>.png").unlink()
    assert previews(stopped_run) == ""
