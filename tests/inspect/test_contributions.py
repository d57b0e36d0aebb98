import pytest
import torch

from atrous.inspect.branches import fused_pieces
from atrous.inspect.contributions import contributions, projected_pieces
from atrous.kernels.label_map import label_map
from atrous.models import Conventions, create_model

SIZE = (48, 80)


def built(shake, architecture, **keywords):
    keywords = {"backbone": "test_resnet", "num_classes": 3, "channels": 8, **keywords}
    return shake(create_model(architecture, **keywords)).eval()


def features_of(model):
    images = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.backbone(images)


@pytest.mark.parametrize("pyramid", ["aspp", "wasp", "dense_aspp", "dpc"])
def test_the_pieces_and_the_bias_are_the_projection(shake, pyramid):
    model = built(shake, "deeplabv3", pyramid=pyramid)
    deep = features_of(model).deep
    maps, whole = projected_pieces(model.pyramid, deep)
    assert list(maps) == list(fused_pieces(model.pyramid))
    with torch.no_grad():
        torch.testing.assert_close(whole.relu(), model.pyramid(deep))
        bias = whole - sum(maps.values())
    assert bias.std(dim=(-2, -1)).max() < 1e-4 * bias.abs().max()  # the same in every cell


def test_a_piece_is_a_slice_of_the_projection_weights(shake):
    model = built(shake, "deeplabv3", rates=(1, 2))
    deep = features_of(model).deep
    maps, _ = projected_pieces(model.pyramid, deep)
    conv, norm, _ = model.pyramid.project
    weight = (
        conv.weight[:, 8:16]
        * (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None, None]
    )
    expected = torch.nn.functional.conv2d(model.pyramid.atrous[0](deep), weight)
    torch.testing.assert_close(maps["rate 1"], expected)


def test_the_parts_of_v3_add_up_to_its_logits(shake):
    model = built(shake, "deeplabv3", rates=(1, 2))
    features = features_of(model)
    found = contributions(model, features, SIZE)
    maps, whole = projected_pieces(model.pyramid, features.deep)
    with torch.no_grad():
        logits = model.classify(features)[0]
        bias = (whole - sum(maps.values())) * (whole > 0)
        rest = model.classifier(bias)[0]
    torch.testing.assert_close(sum(one.logits for one in found) + rest, logits)


def test_through_a_decoder_a_part_is_a_derivative(model):
    features = features_of(model)
    found = contributions(model, features, SIZE)
    assert [one.name for one in found] == ["1x1", "rate 1", "rate 2", "rate 9", "image"]
    maps, whole = projected_pieces(model.pyramid, features.deep)

    def logits(fused):
        deep = model.head(fused.relu())
        return model.classifier(model.decoder(deep, features.early[4]))[0]

    for one in found:
        step = 1e-4 * maps[one.name].double()
        model.double()
        features = type(features)(
            {key: x.double() for key, x in features.early.items()}, features.deep.double()
        )
        with torch.no_grad():
            slope = (logits(whole.double() + step) - logits(whole.double() - step)) / 2e-4
        model.float()
        assert (slope.float() - one.logits).abs().mean() < 0.02 * one.logits.abs().mean()


@pytest.mark.parametrize("name", ["1x1", "rate 2", "image"])
def test_leaving_out_is_what_zeros_before_the_projection_do(model, name):
    features = features_of(model)
    (found,) = (one for one in contributions(model, features, SIZE) if one.name == name)
    pieces = fused_pieces(model.pyramid)
    place = list(pieces).index(name)

    def silence(_module, inputs):
        parts = list(inputs[0].split(list(pieces.values()), dim=1))
        parts[place] = torch.zeros_like(parts[place])
        return (torch.cat(parts, dim=1),)

    with torch.no_grad():
        labels = label_map(model.classify(features), size=SIZE)
        handle = model.pyramid.project.register_forward_pre_hook(silence)
        without = label_map(model.classify(features), size=SIZE)
        handle.remove()
    assert found.changed == pytest.approx((labels != without).float().mean().item(), abs=1e-3)


def test_labels_are_brought_to_size_as_the_model_does_it(shake):
    found = {}
    for corners in (False, True):
        conventions = Conventions(align_corners=corners)
        model = built(shake, "deeplabv3", rates=(1, 2), conventions=conventions)
        features = features_of(model)
        found[corners] = contributions(model, features, SIZE)[1].changed
        maps, whole = projected_pieces(model.pyramid, features.deep)
        with torch.no_grad():
            fused = (whole, whole - maps["rate 1"])
            logits = (model.classifier(model.head(x.relu())) for x in fused)
            before, after = (label_map(x, size=SIZE, align_corners=corners) for x in logits)
        expected = (before != after).float().mean().item()
        assert found[corners] == pytest.approx(expected, abs=1e-3)
    assert found[False] != found[True]


def test_the_branches_of_v2_are_their_logits(shake):
    model = built(shake, "deeplabv2", channels=None, rates=(1, 2))
    features = features_of(model)
    found = contributions(model, features, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(sum(one.logits for one in found), model.classify(features)[0])


@pytest.mark.parametrize(
    ("architecture", "keywords"),
    [
        ("deeplabv3", {"pyramid": "cascade", "channels": None}),
        ("deeplabv1", {}),
        ("lraspp", {"backbone": "test_resnet"}),
    ],
)
def test_others_have_no_parts(shake, architecture, keywords):
    model = built(shake, architecture, **keywords)
    assert contributions(model, features_of(model), SIZE) == ()
