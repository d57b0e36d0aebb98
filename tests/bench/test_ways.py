import numpy as np
import pytest
import torch

from atrous.bench.ways import own_ways
from atrous.models import Conventions, create_model


def test_only_what_an_engine_computes_in_is_a_way():
    names = [way.name for way in own_ways(["onnxruntime", "openvino"], ["bf16"])]
    assert names == ["atrous openvino bf16"]
    names = [way.name for way in own_ways(["optimized", "openvino"], ["int8"])]
    assert names == ["atrous openvino int8"]


@pytest.mark.parametrize("align_corners", [False, True])
@torch.no_grad()
def test_label_maps_are_those_of_the_logits_at_full_size(align_corners):
    torch.manual_seed(0)
    conventions = Conventions(align_corners=align_corners)
    model = create_model(
        "deeplabv3", backbone="test_efficientnet", num_classes=5, conventions=conventions
    ).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 65, 97, 3), dtype=np.uint8)
    (way,) = own_ways(["optimized"], ["fp32"])
    opened = way.open(model, pictures)
    images = model.preprocessing(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    expected = model.coarse_logits(images)
    difference = (opened.logits(pictures) - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()
    labels = opened.labels(pictures)
    assert labels.dtype == torch.uint8
    assert (labels == model(images).argmax(dim=1)).float().mean() > 0.999
