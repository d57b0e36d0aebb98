import pytest
import torch

from atrous.inspect.branches import branches, fused_pieces, name_of_rate
from atrous.nn import ASPP, DPC, WASP, ASPPv2, Cascade, DenseASPP, LargeFOV

KINDS = {
    "aspp": (lambda: ASPP(16, 4, rates=(6, 12)), ["1x1", "rate 6", "rate 12", "image"], [0] * 4),
    "shared": (
        lambda: ASPP(16, 4, rates=(6, 12), shared_kernel=True),
        ["1x1", "rate 6", "rate 12", "image"],
        [0] * 4,
    ),
    "bare": (
        lambda: ASPP(16, 4, rates=(6,), image_pooling=False),
        ["1x1", "rate 6"],
        [0, 0],
    ),
    "v2": (lambda: ASPPv2(16, 3, (6, 12)), ["rate 6", "rate 12"], [0, 0]),
    "large_fov": (lambda: LargeFOV(16, 3, channels=4), ["rate 12"], [0]),
    "wasp": (lambda: WASP(16, 4, rates=(6, 12)), ["rate 6", "rate 12", "image"], [0, 1, 0]),
    "dense": (lambda: DenseASPP(16, 4, rates=(3, 6)), ["rate 3", "rate 6"], [0, 1]),
    "cascade": (lambda: Cascade(16, rates=(4, 8)), ["rate 4", "rate 8"], [0, 1]),
    "dpc": (
        lambda: DPC(16, 4),
        ["rate 1x6", "rate 18x15", "rate 6x3", "rate 1", "rate 6x21"],
        [0, 1, 2, 1, 1],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_pyramid_has_its_branches(kind):
    build, names, reads = KINDS[kind]
    pyramid = build().eval()
    found = branches(pyramid)
    assert [branch.name for branch in found] == names
    assert [branch.reads for branch in found] == reads
    assert all(branch.module in set(pyramid.modules()) for branch in found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_branch_hands_out_one_map(kind):
    pyramid = KINDS[kind][0]().eval()
    shapes = []
    for branch in branches(pyramid):
        branch.module.register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    pyramid(torch.zeros(1, 16, 9, 9))
    assert len(shapes) == len(branches(pyramid))
    assert all(len(shape) == 4 for shape in shapes)


@pytest.mark.parametrize("kind", ["aspp", "shared", "wasp", "dense", "dpc"])
def test_the_pieces_are_what_the_projection_reads(kind):
    pyramid = KINDS[kind][0]().eval()
    read = []
    pyramid.project.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    maps = {}
    for branch in branches(pyramid):
        hook = lambda _, __, x, name=branch.name: maps.update({name: x})  # noqa: E731
        branch.module.register_forward_hook(hook)
    pyramid(torch.randn(1, 16, 9, 9))
    pieces = fused_pieces(pyramid)
    assert sum(pieces.values()) == read[0].shape[1]
    parts = dict(zip(pieces, read[0].split(list(pieces.values()), dim=1), strict=True))
    if kind != "wasp":  # where a 1x1 convolution stands between
        for name in set(maps) & set(parts):
            assert torch.equal(parts[name], maps[name].expand_as(parts[name])), name


def test_other_pyramids_have_no_pieces():
    assert fused_pieces(ASPPv2(16, 3)) == fused_pieces(Cascade(16)) == {}


def test_a_rate_is_named_once_where_both_axes_agree():
    assert name_of_rate((3, 3)) == "3"
    assert name_of_rate((3, 4)) == "3x4"
