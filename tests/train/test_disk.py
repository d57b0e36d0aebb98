import pytest
import torch
from torch import nn

from atrous.errors import ResourceError
from atrous.train.checkpoint import save_checkpoint
from atrous.train.disk import checkpoint_bytes, refuse_full_disk

OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("average", [False, True])
def test_the_size_is_about_that_on_disk(tmp_path, name, average):
    model = nn.Sequential(nn.Linear(300, 100), nn.BatchNorm1d(100))
    optimizer = OPTIMIZERS[name](model.parameters())
    model(torch.randn(4, 300)).sum().backward()
    optimizer.step()
    mean = model.state_dict() if average else None
    path = save_checkpoint(
        tmp_path, step=1, model=model, optimizer=optimizer, state={}, keep=1, average=mean
    )
    size = sum(file.stat().st_size for file in path.iterdir())
    said = checkpoint_bytes(model, optimizer=name, average=average)
    assert size == pytest.approx(said, rel=0.03)


def test_a_disk_without_room_for_what_is_kept_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 48_000_000}))
    folder = tmp_path / "checkpoints"
    refuse_full_disk(folder, checkpoint=10_000_000, best=4_000_000, keep=3)
    said = r"48 MB are free, and 3 checkpoints, the next and the best weights need 50 MB more"
    with pytest.raises(ResourceError, match=said):
        refuse_full_disk(folder, checkpoint=10_000_000, best=5_000_000, keep=3)
    for step in (1, 2, 3):  # a run that is resumed has them already
        (folder / f"step-{step}").mkdir(parents=True)
    refuse_full_disk(folder, checkpoint=38_000_000, best=5_000_000, keep=3)
