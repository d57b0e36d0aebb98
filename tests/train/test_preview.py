import numpy as np
from PIL import Image

from atrous.data import Sample
from atrous.train.preview import write_preview


def test_photo_truth_and_prediction_stand_side_by_side(tmp_path):
    photo = np.full((4, 6, 3), 9, np.uint8)
    truth = np.array([[0, 1, 255, 0, 0, 0]] * 4, np.uint8)
    guess = np.ones((4, 6), np.uint8)
    palette = ((10, 0, 0), (0, 20, 0))
    picture = write_preview(tmp_path, Sample(photo, truth, "a/b"), guess, palette=palette)
    assert picture.shape == (4, 6 + 8 + 6 + 8 + 6, 3)
    assert picture[0, 0].tolist() == [9, 9, 9]
    assert picture[0, 14:17].tolist() == [[10, 0, 0], [0, 20, 0], [0, 0, 0]]
    assert picture[0, -1].tolist() == [0, 20, 0]
    assert np.array_equal(np.array(Image.open(tmp_path / "a-b.png")), picture)
