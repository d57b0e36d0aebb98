import pytest
import torch

from atrous.kernels.polyphase import join_phases, split_phases


@pytest.mark.parametrize("rates", [(1, 1), (2, 2), (3, 2), (5, 9)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_each_phase_has_every_cell_a_rate_apart(rates, layout):
    x = torch.randn(2, 3, 7, 8).to(memory_format=layout)
    phases = split_phases(x, rates)
    if rates != (1, 1):
        assert phases.is_contiguous(memory_format=torch.channels_last)
    phases = phases.unflatten(0, (*rates, 2))
    for row in range(min(rates[0], 7)):
        for column in range(min(rates[1], 8)):
            expected = x[:, :, row :: rates[0], column :: rates[1]]
            found = phases[row, column]
            rows, columns = expected.shape[2:]
            assert torch.equal(found[..., :rows, :columns], expected)
            assert found.abs().sum() == pytest.approx(expected.abs().sum().item(), rel=1e-5)


@pytest.mark.parametrize("rates", [(1, 1), (2, 2), (3, 2), (5, 9)])
def test_joined_they_are_the_map(rates):
    x = torch.randn(2, 3, 7, 8)
    assert torch.equal(join_phases(split_phases(x, rates), rates)[:, :, :7, :8], x)
