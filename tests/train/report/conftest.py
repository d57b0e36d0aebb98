import numpy as np
import pytest
import torch

from atrous.data import Sample
from atrous.evaluate import Evaluation
from atrous.files import write_text
from atrous.metrics import ConfusionMatrix
from atrous.models import create_model
from atrous.recipe import load_recipe
from atrous.train.preview import write_preview
from atrous.train.report import ImageRanking
from atrous.weights import save_model

CLASSES = ("road", "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>')
PALETTE = ((128, 64, 128), (0, 0, 255), (250, 170, 30))
MATRIX = ((90, 10, 0), (30, 10, 0), (0, 0, 0))
METRICS = """step,epoch,loss,lr,val_mean_iou,val_pixel_accuracy,val_iou/road
10,0.5,1.5,0.004,,,
20,1.0,0.5,0.002,0.4,0.8,0.7
30,1.5,0.4,0.001,0.3,0.7,0.6
"""
SPEED = "step,images_per_second\n10,20.5\n20,21.5\n30,22\n"


@pytest.fixture
def evaluation():
    """Return what a network found out about three classes, one of which never occurs."""
    confusion = ConfusionMatrix(3)
    confusion.matrix += torch.tensor(MATRIX)
    return Evaluation(
        scores=confusion.compute(),
        matrix=np.array(MATRIX),
        classes=CLASSES,
        palette=PALETTE,
        images=7,
        dataset="made up",
    )


@pytest.fixture
def stopped_run(tmp_path):
    """Return the directory of a run that was stopped: no model file."""
    folder = tmp_path / "a <run>"
    settings = ["data.source=my photos", "train.max_steps=60", "data.val_split=val"]
    write_text(folder / "recipe.yaml", load_recipe("shapes-quick", settings).to_yaml())
    write_text(folder / "metrics.csv", METRICS)
    write_text(folder / "speed.csv", SPEED)
    write_preview(folder / "preview", sample("seen <b>"), np.zeros((6, 8), "u1"), palette=PALETTE)
    return folder


@pytest.fixture
def finished_run(stopped_run):
    """Return the directory of a run with a model file, whose classes have hostile names."""
    model = create_model("deeplabv3", backbone="lcnet_035", classes=CLASSES, palette=PALETTE)
    facts = {"steps": 60, "minutes": 125.0, "processor": "<i>fast</i>", "torch": "2.10", "seed": 3}
    save_model(model, stopped_run / "best.safetensors", training=facts)
    return stopped_run


@pytest.fixture
def ranking():
    """Return a ranking of 20 images."""
    ranking = ImageRanking(PALETTE)
    for number in range(20):
        guess = torch.zeros(6, 8, dtype=torch.uint8)
        guess.view(-1)[: number + 4] = 1
        ranking.add(sample(f"{number} <u>"), guess)
    return ranking


def sample(name):
    """Return a photo whose left half is of class 0 and whose right half is of class 1."""
    labels = np.zeros((6, 8), np.uint8)
    labels[:, 4:] = 1
    labels[0, 0] = 255
    return Sample(np.full((6, 8, 3), 77, np.uint8), labels, name)
