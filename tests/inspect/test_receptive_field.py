import pytest
import torch
from torch import nn

from atrous.inspect.receptive_field import Field, receptive_fields
from atrous.models import create_model
from atrous.nn.geometry import receptive_field


def test_a_chain_is_what_the_closed_form_says():
    layers = [(7, 2, 1), (3, 1, 1), (3, 2, 1), (5, 1, 3), (3, 1, 12)]
    chain = nn.Sequential(
        *(nn.Conv2d(1, 1, k, stride=s, padding=k // 2 * r, dilation=r) for k, s, r in layers)
    )
    found = receptive_fields(chain, (1, 1, 129, 129), [str(k) for k in range(5)])
    for number in range(5):
        side = receptive_field(layers[: number + 1])
        assert found[str(number)][:2] == (side, side)
    assert found["4"].stride == (4, 4)


def test_pooling_widens_too_and_axes_are_apart():
    network = nn.Sequential(nn.MaxPool2d(3, 2), nn.AvgPool2d(2), nn.Conv2d(1, 1, (1, 5)))
    found = receptive_fields(network, (1, 1, 65, 65), ["0", "1", "2"])
    assert found["0"] == Field(3, 3, (2, 2))
    assert found["1"] == Field(5, 5, (4, 4))
    assert found["2"] == Field(5, 5 + 4 * 4, (4, 4))


def test_where_maps_meet_the_widest_counts():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.end = nn.Conv2d(1, 1, 3, padding=1), nn.Identity()

        def forward(self, x):
            return self.end(torch.cat([x, x + self.conv(x)], dim=1) * 1.0)

    assert receptive_fields(Residual(), (1, 1, 9, 9), ["end"])["end"][:2] == (3, 3)


def test_a_mean_over_the_map_sees_all():
    gate = nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 1, 1))
    found = receptive_fields(gate, (1, 1, 9, 9), ["0", "2"])
    assert not found["0"].sees_all
    assert found["2"].sees_all


def test_the_gradient_reaches_as_far_and_no_further():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2, rates=(1,)).eval()
    pool = model.backbone.network.maxpool
    mean = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)  # a maximum hides the others
    model.backbone.network.maxpool = mean
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.ones_(norm.weight)
    name = "pyramid.atrous.0"
    field = receptive_fields(model, (1, 3, 257, 257), [name])[name]
    for conv in (module for module in model.modules() if isinstance(module, nn.Conv2d)):
        conv.weight.data.abs_()  # nothing cancels, so that all that can be seen is seen
    maps = []
    model.get_submodule(name).register_forward_hook(lambda _, __, x: maps.append(x))
    images = torch.rand(1, 3, 257, 257, requires_grad=True)
    model(images)
    cell = maps[0].shape[-1] // 2
    (gradient,) = torch.autograd.grad(maps[0][0, :, cell, cell].sum(), images)
    seen = gradient[0].abs().sum(dim=0) > 0
    for axis, side in ((0, field.columns), (1, field.rows)):
        touched = seen.any(dim=axis).nonzero()
        assert int(touched.max() - touched.min()) + 1 == side


def test_the_network_stays_as_it_is():
    network = nn.Sequential(nn.Conv2d(1, 1, 3)).train()
    receptive_fields(network, (1, 1, 9, 9), ["0"])
    assert network.training
    assert network[0].weight.device.type == "cpu"
    assert not network[0]._forward_hooks


def test_what_does_not_pass_is_told():
    with pytest.raises(ValueError, match=r"images of \(1, 2, 9, 9\) do not pass"):
        receptive_fields(nn.Conv2d(1, 1, 3), (1, 2, 9, 9), [])
