import pytest

from atrous.data.layouts.names import LAYOUTS, check_name, recognize
from atrous.errors import UsageError


@pytest.fixture
def make(tmp_path):
    def make_folders(*names: str) -> None:
        for name in names:
            (tmp_path / name).mkdir(parents=True, exist_ok=True)

    return make_folders


VOC = ("JPEGImages", "SegmentationClass")


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("voc", VOC),
        ("pascal-context", ("JPEGImages", "SegmentationClassContext")),
        ("voc", ("VOCdevkit/VOC2012/JPEGImages", "VOCdevkit/VOC2012/SegmentationClass")),
        ("cityscapes", ("leftImg8bit", "gtFine")),
        ("camvid", ("train", "trainannot")),
        ("folder", ("images/train", "masks/train")),
        ("folder", ()),
    ],
)
def test_a_folder_is_recognized(name, folders, make, tmp_path) -> None:
    make(*folders)
    assert recognize(tmp_path) == name


def test_a_yaml_says_what_a_folder_is(make, tmp_path) -> None:
    make(*VOC)
    (tmp_path / "dataset.yaml").touch()
    assert recognize(tmp_path) == "folder"


def test_a_folder_of_two_kinds_needs_the_name(make, tmp_path) -> None:
    make(*VOC, "SegmentationClassContext")
    with pytest.raises(UsageError) as caught:
        recognize(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: can be read as voc or pascal-context; say which, as in 'voc={tmp_path}'"
    )


def test_every_name_is_known_and_others_are_not() -> None:
    for name in (*LAYOUTS, "folder"):
        check_name(name)
    with pytest.raises(UsageError, match=r"no data set is called 'CityScape'; did you mean 'city"):
        check_name("CityScape")


def test_a_saved_data_set_stays_one_beside_a_yaml(tmp_path) -> None:
    for name in ("dataset_dict.json", "dataset.yaml"):
        (tmp_path / name).touch()
    assert recognize(tmp_path) == "hf"
    check_name("hf")
