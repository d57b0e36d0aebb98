import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.images import read_mask
from atrous.errors import DataError, UsageError
from atrous.models import Conventions, create_model
from atrous.predict import Segmenter
from atrous.weights import save_model


def test_a_file_an_image_and_an_array_give_the_same(segmenter, photo, labels, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    for source in (path, str(path), Image.fromarray(photo), photo):
        found = segmenter(source)
        assert np.array_equal(found.labels, labels)
        assert np.array_equal(found.image, photo)
        assert found.classes == ("red", "green", "blue")
        assert found.palette == ((200, 0, 0), (0, 200, 0), (0, 0, 200))


def test_a_list_gives_a_list_whatever_the_sizes(segmenter, photo):
    found = segmenter([photo, photo[:2], Image.fromarray(photo[:, :3])])
    assert [one.labels.shape for one in found] == [(4, 6), (2, 6), (4, 3)]
    assert segmenter([]) == []


@pytest.mark.parametrize("door", ["file", "image"])
def test_the_result_is_upright_as_exif_says(segmenter, photo, labels, tmp_path, door):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path, exif=exif)
    source = path if door == "file" else Image.open(path)
    assert np.array_equal(segmenter(source).labels, np.rot90(labels, -1))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_images_of_every_8_bit_mode_are_taken(segmenter, photo, mode):
    assert segmenter(Image.fromarray(photo).convert(mode)).labels.shape == (4, 6)


def test_a_model_can_be_a_file(tmp_path, photo):
    network = create_model("deeplabv3", backbone="test_efficientnet", num_classes=2)
    file = save_model(network, tmp_path / "model.safetensors")
    by_file, by_model = Segmenter(file, device="cpu"), Segmenter(network, device="cpu")
    assert np.array_equal(by_file(photo).labels, by_model(photo).labels)


def test_a_file_can_be_held_at_another_output_stride(tmp_path, photo):
    network = create_model("deeplabv3", backbone="test_efficientnet", num_classes=2)
    file = save_model(network, tmp_path / "model.safetensors")
    found = Segmenter(file, device="cpu", output_stride=8)(photo)
    network.set_output_stride(8)
    assert np.array_equal(found.labels, Segmenter(network, device="cpu")(photo).labels)
    with pytest.raises(UsageError, match=r"model\.set_output_stride\(8\)"):
        Segmenter(network, device="cpu", output_stride=8)
    with pytest.raises(UsageError, match="must be 4, 8, 16 or 32, got 7"):
        Segmenter(file, device="cpu", output_stride=7)


def test_many_are_computed_at_once_where_the_engine_can(segmenter, photo):
    opened = []

    class Many:
        """The engine of the segmenter, several at once."""

        name, precision, at_once = "openvino", "fp32", 3

        def __call__(self, images):
            return segmenter_engine(images)

        def for_many(self):
            opened.append(Many())
            return opened[-1]

    segmenter_engine, segmenter.engine = segmenter.engine, Many()
    for count in (15, 16, 40):
        found = segmenter([photo] * count)
        assert len(found) == count
        assert all(np.array_equal(one.labels, found[0].labels) for one in found)
    assert len(opened) == 1


def test_a_list_ends_at_what_cannot_be_read_and_each_goes_on(segmenter, photo):
    with pytest.raises(DataError, match=r"missing\.jpg"):
        segmenter([photo, "missing.jpg", photo])
    first, error, last = segmenter.each([photo, "missing.jpg", photo])
    assert isinstance(error, DataError)
    assert np.array_equal(first.labels, last.labels)


def test_a_network_keeps_its_mode(model, photo):
    Segmenter(model.train(), device="cpu", engine="torch")(photo)
    assert model.training


def test_a_network_stays_as_it_is_and_can_be_trained(photo):
    network = create_model("deeplabv3", backbone="test_efficientnet", num_classes=2).train()
    before = copy.deepcopy(network.state_dict())
    Segmenter(network, device="cpu")(photo)
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert all(module.training for module in network.modules())
    network(torch.randn(2, 3, 32, 32)).mean().backward()


def test_the_labels_are_those_of_the_network(photo):
    network = create_model("deeplabv3plus", backbone="test_resnet", num_classes=5)
    by_torch = Segmenter(network, device="cpu", engine="torch")(photo)
    assert np.array_equal(Segmenter(network, device="cpu")(photo).labels, by_torch.labels)


@pytest.mark.parametrize(("classes", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_a_mask_has_room_for_every_class(photo, classes, dtype, tmp_path):
    network = create_model("deeplabv3", backbone="test_efficientnet", num_classes=classes)
    found = Segmenter(network, device="cpu")(photo)
    assert found.labels.dtype == dtype
    assert np.array_equal(read_mask(found.save(tmp_path / "mask.png")), found.labels)
    assert found.overlay().size == (6, 4)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((4, 6, 3)), r"expected an array of uint8 .* got float64"),
        (np.zeros((4, 6), np.uint8), r"expected an \(H, W, 3\) RGB array, got shape \(4, 6\)"),
        (np.zeros((3, 4, 6), np.uint8), r"got shape \(3, 4, 6\).*transpose"),
        (np.zeros((1, 4, 6, 3), np.uint8), r"got shape \(1, 4, 6, 3\).*a list"),
        (np.zeros((0, 6, 3), np.uint8), r"got shape \(0, 6, 3\)"),
    ],
)
def test_arrays_of_another_kind_are_refused_with_the_cure(segmenter, array, complaint):
    with pytest.raises(UsageError, match=complaint):
        segmenter(array)


@pytest.mark.parametrize("mode", ["I;16", "F", "I"])
def test_images_of_more_than_8_bits_are_refused(segmenter, mode):
    with pytest.raises(UsageError, match=f"8 bits per channel was expected, got mode '{mode}'"):
        segmenter(Image.new(mode, (6, 4)))


@pytest.mark.parametrize("thing", [None, 7, b"photo.jpg"])
def test_things_that_are_no_picture_are_refused(segmenter, thing):
    with pytest.raises(UsageError, match=f"got {type(thing).__name__}"):
        segmenter(thing)


def test_an_image_that_cannot_be_decoded_is_a_data_error(segmenter):
    content = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(content, "PNG")
    image = Image.open(io.BytesIO(content.getvalue()[:1000]))
    with pytest.raises(DataError, match="image: is truncated or corrupt"):
        segmenter(image)


def test_missing_files_are_named(segmenter, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jpg"):
        segmenter(tmp_path / "nowhere.jpg")


def test_words_are_checked_before_a_model_is_read():
    with pytest.raises(UsageError, match="engine 'onnx' is unknown; perhaps onnxruntime; use auto"):
        Segmenter("no-such-model", engine="onnx")
    with pytest.raises(UsageError, match="precision 'int3' is unknown; use fp32 or bf16"):
        Segmenter("no-such-model", precision="int3")


def test_an_unknown_model_is_refused():
    with pytest.raises(UsageError, match="'no-such-model'"):
        Segmenter("no-such-model")


def test_corners_are_aligned_as_in_the_library_it_comes_from():
    torch.manual_seed(0)
    photo = np.random.default_rng(0).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    model = create_model(
        "deeplabv3",
        backbone="resnet10t",
        num_classes=5,
        conventions=Conventions(align_corners=True),
    ).eval()
    images = torch.from_numpy(photo).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = model(model.preprocessing(images)).argmax(dim=1)[0].numpy()
    assert np.array_equal(Segmenter(model, engine="torch")(photo).labels, expected)
