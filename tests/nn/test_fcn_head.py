import pytest
import torch
from torchvision.models.segmentation.fcn import FCNHead as Theirs

from atrous.nn import FCNHead


def test_it_is_torchvisions():
    torch.manual_seed(0)
    theirs, ours = Theirs(16, 3).eval(), FCNHead(16, 3).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 16, 5, 7)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_any_width_trains_on_a_batch_of_one(channels):
    head = FCNHead(channels, 2).train()
    head(torch.randn(1, channels, 4, 4)).square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in head.parameters())
