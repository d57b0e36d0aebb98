import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from atrous.inspect.drawings.heat_map import heat_map, heat_picture


def test_strength_is_opacity_and_sign_is_colour():
    pixels = np.array(heat_picture(np.array([[0, 0.5, -1.0, 1.0]])))[0]
    assert pixels[:, 3].tolist() == [0, 128, 255, 255]
    assert pixels[1, 0] > pixels[1, 2]  # red
    assert pixels[2, 2] > pixels[2, 0]  # blue
    assert np.array(heat_picture(np.zeros((2, 2)))).max(axis=(0, 1))[3] == 0


def test_a_span_is_kept_between_maps():
    assert np.array(heat_picture(np.array([[1.0, 9.0]]), span=4))[0, :, 3].tolist() == [64, 255]


def test_a_large_map_becomes_means_of_neighbours():
    values = np.zeros((1000, 3))
    values[::2] = 2
    assert heat_picture(values).size == (3, 512)
    assert heat_picture(np.ones((3, 2000))).size == (512, 3)


def test_the_drawing_has_the_map_and_squares_about_its_middle():
    drawing = heat_map(np.eye(5, 9), label="<eye>", squares={"90 %": 3, "all": 99})
    address = re.search(r'href="data:image/png;base64,([^"]*)"', drawing)[1]
    assert Image.open(io.BytesIO(base64.b64decode(address))).size == (9, 5)
    assert 'x="3.0" y="1.0" width="3" height="3"' in drawing
    assert 'x="0.0" y="0.0" width="9" height="5"' in drawing
    assert 'aria-label="&lt;eye&gt;"' in drawing


def test_a_picture_can_lie_under_it():
    drawing = heat_map(np.eye(3), label="eye", under="data:image/jpeg;base64,AA")
    assert drawing.count("<image") == 2
    assert drawing.index("image/jpeg") < drawing.index("image/png")


@pytest.mark.parametrize("values", [np.ones(3), np.ones((0, 3)), np.array([[np.nan]])])
def test_what_is_no_map_is_refused(values):
    with pytest.raises(ValueError, match="expected finite values"):
        heat_map(values, label="none")
