import re

import pytest

from atrous.inspect.photo_page import photo_sections
from atrous.inspect.photograph import view_photo


@pytest.fixture(scope="module")
def view(model, photo):
    return view_photo(model, photo)


def test_a_photograph_has_three_sections(view):
    sections = list(photo_sections(view))
    titles = [re.match(r"<section><h2>([^<]*)", part)[1] for part in sections]
    assert titles == ["Photograph", "Class activation", "Branches"]
    for one in view.contributions:
        assert f"{one.name}: {100 * one.changed:.1f} % of the labels" in sections[2]
    assert sections[2].count("<figure") == 5


def test_names_of_classes_stay_text(view):
    page = "".join(photo_sections(view))
    assert "<script" not in page


def test_without_parts_there_is_no_section(view):
    from dataclasses import replace

    assert list(photo_sections(replace(view, contributions=(), activations={})))[1:] == ["", ""]
