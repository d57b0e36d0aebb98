import pytest
import torch

from atrous.inspect.effective_field import effective_fields, middle, noise, side_holding
from atrous.inspect.receptive_field import receptive_fields
from atrous.models import create_model


def test_noise_is_the_same_each_time_and_not_too_large(model):
    images = noise(model, (9, 2000))
    assert images.shape == (1, 3, 9, 513)
    assert torch.equal(images, noise(model, (9, 2000)))


def test_the_middle_of_an_image():
    images = torch.arange(600.0).expand(1, 1, 3, 600)
    assert middle(images).shape == (1, 1, 3, 513)
    assert middle(images)[0, 0, 0, 0] == 43
    assert middle(images[..., :20]).shape == (1, 1, 3, 20)


def test_each_branch_has_a_field_inside_its_theoretical_one(model):
    images = noise(model, (193, 193))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fields = effective_fields(model, images)
    assert list(fields) == ["1x1", "rate 1", "rate 2", "rate 9", "image"]
    theory = receptive_fields(model, images.shape, ["pyramid.point", "pyramid.atrous.0"])
    for name, layer in (("1x1", "pyramid.point"), ("rate 1", "pyramid.atrous.0")):
        heat = fields[name]
        assert heat.shape == (193, 193)
        assert heat.sum().item() == pytest.approx(1, abs=1e-4)
        rows = (heat.sum(dim=1) > 0).nonzero()
        assert int(rows.max() - rows.min()) < theory[layer].rows
    assert side_holding(fields["1x1"]) < side_holding(fields["image"])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.pyramid.modules())


def test_a_field_is_the_gradient_of_the_middle_cell(model):
    images = noise(model, (49, 49)).requires_grad_()
    deep = model.backbone(images).deep
    cell = model.pyramid.point(deep)[0, :, deep.shape[-2] // 2, deep.shape[-1] // 2]
    signs = torch.randint(0, 2, (8,), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    (gradient,) = torch.autograd.grad((cell * signs).sum(), images)
    expected = gradient[0].abs().sum(dim=0)
    found = effective_fields(model, images)["1x1"]
    torch.testing.assert_close(found, expected / expected.sum())


def test_a_network_without_a_pyramid_has_no_fields():
    network = create_model("lraspp", backbone="test_resnet", num_classes=2)
    assert effective_fields(network, torch.zeros(1, 3, 33, 33)) == {}


@pytest.mark.parametrize(("share", "side"), [(0.1, 1), (0.5, 3), (0.52, 5), (1.0, 7)])
def test_a_square_holds_its_share(share, side):
    heat = torch.zeros(21, 31)
    for reach, mass in ((0, 0.2), (1, 0.3), (2, 0.3), (3, 0.2)):
        for row, column in ((-reach, 0), (reach, 0), (0, -reach), (0, reach)):
            heat[10 + row, 12 + column] += mass / 4
    assert side_holding(heat, share) == side


def test_nothing_is_held_by_no_square():
    assert side_holding(torch.zeros(5, 5)) == 0
