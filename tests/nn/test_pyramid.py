"""What every pyramid promises, whatever its figure."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atrous.nn import (
    ASPP,
    DPC,
    LRASPP,
    WASP,
    ASPPv2,
    Cascade,
    DeadTapsWarning,
    DenseASPP,
    LargeFOV,
    Pyramid,
)

no_warning = pytest.mark.filterwarnings("error::atrous.nn.pyramid.DeadTapsWarning")
tiny_maps = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")

# Each reads 8 channels at two rates where it has a choice, and gives 4.
PAIRS = ((1, 2), (3, 2), (2, 1), (1, 1), (2, 3))
OTHER_PAIRS = ((2, 1), (2, 3), (1, 2), (2, 2), (3, 2))
BUILDERS = {
    "ASPP": lambda rates=(2, 3): ASPP(8, 4, rates=rates),
    "ASPP with classifier": lambda rates=(2, 3): ASPP(8, 6, rates=rates, num_classes=4),
    "ASPP separable": lambda rates=(2, 3): ASPP(8, 4, rates=rates, separable=True),
    "ASPP shared": lambda rates=(2, 3): ASPP(8, 4, rates=rates, shared_kernel=True),
    "ASPPv2": lambda rates=(2, 3): ASPPv2(8, 4, rates),
    "ASPPv2 with channels": lambda rates=(2, 3): ASPPv2(8, 4, rates, channels=16, dropout=0),
    "Cascade": lambda rates=(2, 3): Cascade(4, rates=rates, multi_grid=(1, 2)),
    "DPC": lambda rates=PAIRS: DPC(8, 4, rates=rates),
    "DPC separable": lambda rates=PAIRS: DPC(8, 4, rates=rates, separable=True),
    "DenseASPP": lambda rates=(2, 3): DenseASPP(8, 4, rates=rates),
    "DenseASPP separable": lambda rates=(2, 3): DenseASPP(8, 4, rates=rates, separable=True),
    "LargeFOV": lambda rates=(3,): LargeFOV(8, 4, *rates, channels=16, dropout=0),
    "LargeFOV even": lambda rates=(2,): LargeFOV(
        8, 4, *rates, kernel_size=4, channels=16, dropout=0
    ),
    "WASP": lambda rates=(2, 3): WASP(8, 4, rates=rates),
    "WASP separable": lambda rates=(2, 3): WASP(8, 4, rates=rates, separable=True),
}
WITHOUT_RATES = {"LRASPP": lambda: LRASPP(3, 8, 4)}

every_pyramid = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
every_head = pytest.mark.parametrize(
    "build", [*BUILDERS.values(), *WITHOUT_RATES.values()], ids=[*BUILDERS, *WITHOUT_RATES]
)


def maps_for(pyramid: nn.Module, batch: int, height: int, width: int) -> tuple[Tensor, ...]:
    """What the pyramid reads; its result has the size of the first map."""
    channels = 4 if isinstance(pyramid, Cascade) else 8
    deep = torch.randn(batch, channels, height, width)
    if isinstance(pyramid, LRASPP):
        return torch.randn(batch, 3, 2 * height, 2 * width), deep
    return (deep,)


def other_rates(pyramid: Pyramid) -> tuple:
    if isinstance(pyramid, DPC):
        return OTHER_PAIRS
    return tuple(2 * rate for rate in pyramid.rates)


def test_every_public_pyramid_is_here():
    built = {type(build()) for build in (*BUILDERS.values(), *WITHOUT_RATES.values())}
    assert built == {ASPP, ASPPv2, Cascade, DPC, DenseASPP, LargeFOV, LRASPP, WASP}


@tiny_maps
@every_head
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (1, 1, 3), (1, 7, 4), (3, 2, 9)])
def test_any_batch_of_any_map_keeps_its_size(build, training, shape):
    pyramid = build().train(training)
    maps = maps_for(pyramid, *shape)
    y = pyramid(*maps)
    assert y.shape == (shape[0], pyramid.out_channels, *maps[0].shape[-2:])
    assert pyramid.out_channels == 4
    assert y.isfinite().all()


@tiny_maps
@every_head
@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_reach_every_parameter(build, batch):
    torch.manual_seed(1)
    pyramid = build().train()
    pyramid(*maps_for(pyramid, batch, 9, 10)).square().mean().backward()
    for name, weight in pyramid.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


@tiny_maps
@every_head
def test_a_copy_is_independent(build):
    pyramid = build().eval()
    twin = copy.deepcopy(pyramid)
    maps = maps_for(pyramid, 2, 6, 7)
    assert torch.equal(twin(*maps), pyramid(*maps))
    assert twin.rates == pyramid.rates
    before = pyramid(*maps)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(1)
    assert torch.equal(pyramid(*maps), before)


@no_warning
@every_head
def test_export_gives_the_same_for_maps_of_any_size(build):
    torch.manual_seed(0)
    pyramid = build().eval()
    # LRASPP reads two maps that differ in size, which no shared dimension can say.
    free = None if isinstance(pyramid, LRASPP) else ({2: torch.export.Dim.DYNAMIC},)
    maps = maps_for(pyramid, 2, 6, 7)
    exported = torch.export.export(pyramid, maps, dynamic_shapes=free).module()
    other = maps_for(pyramid, 2, 6 if free is None else 5, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadTapsWarning)
        assert (exported(*other) - pyramid(*other)).abs().max() < 1e-5


@no_warning
@pytest.mark.parametrize("rates", [(2, 3), (9, 300)])
def test_it_compiles_as_one_graph_without_a_warning(rates):
    pyramid = ASPP(8, 4, rates=rates).eval()
    compiled = torch.compile(pyramid, fullgraph=True, backend="eager")
    assert compiled(torch.randn(1, 8, 5, 6)).shape == (1, 4, 5, 6)


@tiny_maps
@every_pyramid
def test_rates_can_be_changed_and_the_weights_stay(build):
    torch.manual_seed(0)
    pyramid = build().eval()
    state = {name: tensor.clone() for name, tensor in pyramid.state_dict().items()}
    rates = other_rates(pyramid)
    pyramid.rates = rates
    assert pyramid.rates == rates
    assert all(torch.equal(tensor, state[name]) for name, tensor in pyramid.state_dict().items())
    built_so = build(rates).eval()
    built_so.load_state_dict(state)
    maps = maps_for(pyramid, 2, 13, 11)
    assert torch.equal(pyramid(*maps), built_so(*maps))
    assert not torch.allclose(pyramid(*maps), _at_first_rates(build, state)(*maps))


def _at_first_rates(build, state: dict[str, Tensor]) -> Pyramid:
    pyramid = build().eval()
    pyramid.load_state_dict(state)
    return pyramid


@every_pyramid
def test_rates_are_refused_when_they_do_not_fit(build):
    pyramid = build()
    before = pyramid.rates
    with pytest.raises(ValueError, match=f"expected {len(before)} rates, as many as before"):
        pyramid.rates = (*before, before[0])
    for wrong in (0, -1, 1.5, "6"):
        with pytest.raises(ValueError, match="whole numbers from 1 up, got"):
            pyramid.rates = (*before[:-1], (wrong, 1) if isinstance(pyramid, DPC) else wrong)
    with pytest.raises(ValueError, match="one or more" if pyramid.needs_rates else "as many"):
        pyramid.rates = ()
    assert pyramid.rates == before


def test_pairs_are_for_the_cell_that_was_found_with_them():
    with pytest.raises(ValueError, match="rates needs whole numbers from 1 up"):
        ASPP(8, 4, rates=((1, 2), (3, 4)))
    with pytest.raises(ValueError, match="one or more pairs of whole numbers from 1 up"):
        DPC(8, 4, rates=(1, 2, 3, 4, 5))


def test_rates_of_numpy_become_plain_numbers():
    pyramid = ASPP(8, 4, rates=np.array([2, 3]))
    assert pyramid.rates == (2, 3)
    assert [type(rate) for rate in pyramid.rates] == [int, int]


@no_warning
def test_a_rate_beyond_the_map_is_told_once():
    pyramid = ASPP(8, 4, rates=(6, 36)).eval()
    x = torch.zeros(1, 8, 33, 33)
    with pytest.warns(DeadTapsWarning) as told:
        pyramid(x)
    assert str(told[0].message) == (
        "rate 36 on a map of 33x33 cells reads 1.00 of its 9 taps, 11 %: the others fall on "
        "padding and add nothing; use a larger image, a smaller output stride or smaller rates"
    )
    pyramid(x)  # here a warning is an error


@no_warning
def test_it_is_told_again_when_the_rates_have_changed():
    pyramid = ASPP(8, 4, rates=(1, 6)).eval()
    x = torch.zeros(1, 8, 6, 40)
    with pytest.warns(DeadTapsWarning, match="rate 6 on a map of 6x40 cells reads 2.70 of its 9"):
        pyramid(x)
    pyramid.rates = (1, 6)
    pyramid(x)
    pyramid.rates = (1, 5)
    pyramid(x)
    pyramid.rates = (1, 7)
    with pytest.warns(DeadTapsWarning, match="rate 7 "):
        pyramid(x)


def test_every_copy_tells_by_itself():
    pyramid = ASPP(8, 4, rates=(9,)).eval()
    twin = copy.deepcopy(pyramid)
    for each in (pyramid, twin):
        with pytest.warns(DeadTapsWarning):
            each(torch.zeros(1, 8, 9, 9))


def test_a_map_given_by_name_is_looked_at_too():
    with pytest.warns(DeadTapsWarning, match="5x9 cells"):
        ASPP(8, 4, rates=(5,)).eval()(x=torch.zeros(1, 8, 5, 9))


def test_each_axis_has_its_own_rate_in_a_cell_of_pairs():
    pyramid = DPC(8, 4).eval()
    with pytest.warns(DeadTapsWarning, match=r"rate \(6, 21\) on a map of 30x20 cells reads 2.60 "):
        pyramid(torch.zeros(1, 8, 30, 20))


@no_warning
def test_units_of_a_cascade_multiply_its_rates():
    pyramid = Cascade(8, rates=(2, 4), multi_grid=(1, 2)).eval()
    pyramid(torch.zeros(1, 8, 9, 9))
    with pytest.warns(DeadTapsWarning, match="rate 8 on a map of 8x9 cells"):
        pyramid(torch.zeros(1, 8, 8, 9))


def test_a_wide_kernel_is_described_by_its_own_taps():
    pyramid = LargeFOV(8, 4, rate=4, kernel_size=7, channels=16).eval()
    with pytest.warns(DeadTapsWarning, match="reads 1.00 of its 49 taps, 2 %"):
        pyramid(torch.zeros(1, 8, 4, 4))
