import re

import numpy as np
import pytest

from atrous.train.report.confusion import confusion, confusion_table, largest_confusions

MATRIX = np.array([[90, 10, 0], [30, 10, 0], [0, 0, 0]])
NAMES = ("road", "<car>", "sky")


def test_cells_are_percentages_of_the_true_class():
    table = confusion_table(MATRIX, NAMES)
    rows = re.findall(r"<tr>(.*?)</tr>", table)[1:]
    cells = [re.findall(r"<td[^>]*>(\d*)</td>", row) for row in rows]
    assert cells == [["90", "10", ""], ["75", "25", ""], ["", "", ""]]
    assert "75.0 % of &lt;car&gt; taken for road" in table
    assert 'style="--share:0.75" class="full"' in table
    assert 'style="--share:0.25">25' in table


def test_many_classes_have_shades_without_numbers():
    table = confusion_table(np.eye(150, dtype=int), [f"class {k}" for k in range(150)])
    assert table.count("--share:1.00") == 150
    assert not re.search(r"<td[^>]*>\d", table)
    assert len(table) < 300_000


def test_the_largest_mistakes_come_first():
    assert largest_confusions(MATRIX, NAMES) == [("<car>", "road", 0.75), ("road", "<car>", 0.1)]
    assert largest_confusions(MATRIX, NAMES, most=1) == [("<car>", "road", 0.75)]
    assert largest_confusions(np.diag([5, 5]), ("a", "b")) == []


def test_the_section_is_there_when_something_was_measured(evaluation):
    section = confusion(evaluation)
    assert "Most often mistaken" in section
    assert "<b>75.0 %</b> of &lt;script&gt;" in section
    assert confusion(None) == ""


@pytest.mark.parametrize("num_classes", [1, 2])
def test_without_a_mistake_there_is_no_list(evaluation, num_classes):
    perfect = np.eye(num_classes, dtype=int)
    object.__setattr__(evaluation, "matrix", perfect)
    object.__setattr__(evaluation, "classes", evaluation.classes[:num_classes])
    assert "mistaken" not in confusion(evaluation)
