import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from atrous.errors import DataError, UsageError
from atrous.models import Preprocessing, create_model
from atrous.weights import load_model, save_model
from atrous.weights.fine_tuning import adapt_classes, start_from

BEFORE = ("road", "sky", "car")
IMAGE = torch.randn(1, 3, 65, 65, generator=torch.Generator().manual_seed(3))

# Every kind of head: the keywords of create_model, and the names of the layers that classify.
HEADS = {
    "v3": ({"architecture": "deeplabv3"}, ["classifier"]),
    "v3, auxiliary": (
        {"architecture": "deeplabv3", "aux_head": True},
        ["auxiliary.2", "classifier"],
    ),
    "v3, cascade": ({"architecture": "deeplabv3", "pyramid": "cascade"}, ["classifier"]),
    "v3+": ({"architecture": "deeplabv3plus"}, ["classifier"]),
    "LR-ASPP": (
        {"architecture": "lraspp"},
        ["pyramid.low_classifier", "pyramid.deep_classifier"],
    ),
    "LargeFOV": ({"architecture": "deeplabv1", "channels": 16}, ["pyramid.layers.fc8"]),
    "ASPP of v2": (
        {"architecture": "deeplabv2", "rates": (6, 12)},
        ["pyramid.branches.0", "pyramid.branches.1"],
    ),
    "ASPP of v2 with hidden layers": (
        {"architecture": "deeplabv2", "rates": (6, 12), "channels": 16},
        ["pyramid.branches.0.fc8", "pyramid.branches.1.fc8"],
    ),
}


def network(**keywords):
    """A network whose numbers are not those of a beginning."""
    torch.manual_seed(1)
    options = {"architecture": "deeplabv3", "backbone": "test_resnet", "classes": BEFORE}
    model = create_model(**{**options, **keywords})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("head", HEADS)
def test_rows_of_classes_that_stay_are_kept_and_others_begin_anew(head):
    keywords, layers = HEADS[head]
    model = network(**keywords)
    adapted, change = adapt_classes(model, ["boat", "car", "tree", "road"])
    assert (change.kept, change.new, change.dropped) == (
        ("car", "road"),
        ("boat", "tree"),
        ("sky",),
    )
    assert adapted.classes == ("boat", "car", "tree", "road")
    before, after = model.state_dict(), adapted.state_dict()
    changed = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert {key for key in before if not torch.equal(before[key], after[key])} == changed
    for key in changed:
        assert len(after[key]) == 4
        assert torch.equal(after[key][1], before[key][2])
        assert torch.equal(after[key][3], before[key][0])
    for layer in layers:
        fresh = after[f"{layer}.weight"][[0, 2]]
        assert 0.003 < fresh.std() < 0.02  # 0.01, as a classifier begins
        assert not after[f"{layer}.bias"][[0, 2]].any()
    assert adapted.eval()(IMAGE).shape == (1, 4, 65, 65)


@pytest.mark.parametrize("head", HEADS)
def test_with_the_same_classes_it_computes_the_same(head):
    model = network(**HEADS[head][0]).eval()
    adapted, change = adapt_classes(model, BEFORE, model.palette)
    assert torch.equal(adapted(IMAGE), model(IMAGE))
    assert (change.kept, change.new, change.dropped) == (BEFORE, (), ())


def test_logits_of_classes_that_stay_are_those_of_before():
    model = network().eval()
    adapted, _ = adapt_classes(model, ["sky", "boat", "road"])
    torch.testing.assert_close(adapted(IMAGE)[:, [0, 2]], model(IMAGE)[:, [1, 0]])


def test_the_model_stays_as_it_is_and_shares_nothing():
    model = network().eval()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    adapted, _ = adapt_classes(model, ["boat", "car"])
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert model.classes == BEFORE


@pytest.mark.parametrize("training", [False, True])
def test_all_else_goes_along(training):
    model = network().train(training)
    model.preprocessing = Preprocessing((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    model.set_output_stride(8)
    adapted, _ = adapt_classes(model, ["boat"], [(9, 8, 7)])
    assert adapted.training is training
    assert adapted.palette == ((9, 8, 7),)
    assert adapted.preprocessing == model.preprocessing
    assert (adapted.output_stride, adapted.rates) == (8, (12, 24, 36))
    assert all(parameter.requires_grad for parameter in adapted.parameters())


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (("Sky", "road"), ("SKY", "car"), ("SKY",)),
        (("Sky", "sky"), ("sky", "SKY"), ("sky",)),  # case alone tells them apart
        (("sky", "road"), ("Sky", "sky"), ("sky",)),
        (("skyline", "road"), ("sky", "roads"), ()),
    ],
)
def test_case_counts_only_where_nothing_else_differs(before, after, kept):
    model = network(classes=before)
    adapted, change = adapt_classes(model, after)
    assert change.kept == kept
    for name in kept:
        row = [old.casefold() for old in before].index(name.casefold())
        row = before.index(name) if name in before else row
        weight = adapted.classifier.weight[after.index(name)]
        assert torch.equal(weight, model.classifier.weight[row])


def test_the_change_is_a_list_that_one_can_read():
    _, change = adapt_classes(network(), ["boat", "car", "tree"])
    assert str(change).splitlines() == [
        "kept       1  car",
        "new        2  boat, tree",
        "dropped    2  road, sky",
    ]


def test_the_seed_decides_how_new_rows_begin():
    model = network()
    torch.manual_seed(5)
    first, _ = adapt_classes(model, ["boat"])
    torch.manual_seed(5)
    second, _ = adapt_classes(model, ["boat"])
    third, _ = adapt_classes(model, ["boat"])
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    assert not torch.equal(first.classifier.weight, third.classifier.weight)


@pytest.mark.parametrize(
    ("classes", "palette", "fault"),
    [
        ((), None, "at least one class"),
        (("boat", "boat"), None, "'boat' is used twice"),
        (("boat",), [(1, 2, 3), (4, 5, 6)], "2 colours"),
    ],
)
def test_classes_that_make_no_sense_are_refused(classes, palette, fault):
    with pytest.raises(UsageError, match=fault):
        adapt_classes(network(), classes, palette)


def test_it_is_saved_and_loaded_like_any_model(tmp_path):
    adapted, _ = adapt_classes(network(), ["boat", "car"])
    loaded = load_model(save_model(adapted, tmp_path / "a.safetensors"))
    assert torch.equal(loaded(IMAGE), adapted.eval()(IMAGE))


@pytest.mark.parametrize("name", ["model.safetensors", "without-suffix"])
def test_one_starts_from_a_model_file(tmp_path, name):
    model = network()
    file = save_model(model, tmp_path / name)
    started, change = start_from(str(file), ["Car", "boat"], [(1, 2, 3), (4, 5, 6)])
    assert change.kept == ("Car",)
    assert started.training
    assert started.palette == ((1, 2, 3), (4, 5, 6))
    assert torch.equal(started.classifier.weight[0], model.classifier.weight[2])


def test_one_starts_from_a_name():
    started, change = start_from("camvid-lite0", ["sky", "boat"])
    assert change.kept == ("sky",)
    assert torch.equal(
        started.classifier.weight[0], load_model("camvid-lite0").classifier.weight[0]
    )


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_one_starts_from_another_librarys_checkpoint(tmp_path, suffix):
    state = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=2).state_dict()
    file = tmp_path / f"theirs.{suffix}"
    torch.save(state, file) if suffix == "pth" else save_file(state, file)
    started, change = start_from(file, ["class 1", "boat", "car"])
    assert change.kept == ("class 1",)
    row = state["classifier.low_classifier.weight"][1]
    assert torch.equal(started.pyramid.low_classifier.weight[0], row)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a model file"):
        start_from(tmp_path / "a.safetensors", ["boat"])
    with pytest.raises(UsageError, match="neither a file nor a known name"):
        start_from("nowhere", ["boat"])
