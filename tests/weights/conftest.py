"""One small network, its file, a way to forge files like it, and a server that can misbehave."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from atrous.models import SegmentationModel, create_model
from atrous.weights import save_model
from atrous.weights.model_file import digest

Forge = Callable[..., Path]


@pytest.fixture(scope="session")
def model() -> SegmentationModel:
    """A network no number of which is that of its beginning."""
    torch.manual_seed(0)
    model = create_model(
        "deeplabv3plus",
        backbone="test_resnet",
        classes=("sky", "road", "tree"),
        palette=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        output_stride=8,
        rates=(1, 2),
        separable=True,
        dropout=0.25,
    )
    model.train()(torch.randn(2, 3, 65, 65))
    return model.eval()


@pytest.fixture(scope="session")
def file(model: SegmentationModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    return save_model(model, path, training={"mean_iou": 0.5}, license="Apache-2.0")


@pytest.fixture
def forge(file: Path, tmp_path: Path) -> Forge:
    """Write a file that differs from `file`; its SHA-256 is right unless `sha256` is given."""

    def write(
        *,
        tensors: dict[str, Tensor | None] | None = None,
        sha256: str | None = None,
        without: str = "",
        **metadata: Any,
    ) -> Path:
        with safe_open(file, framework="pt") as opened:
            facts = json.loads(opened.metadata()["atrous"])
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        changed = {
            key: tensor for key, tensor in (state | (tensors or {})).items() if tensor is not None
        }
        facts |= {"sha256": sha256 or digest(changed), **metadata}
        facts.pop(without, None)
        path = tmp_path / "forged.safetensors"
        save_file(changed, path, metadata={"atrous": json.dumps(facts)})
        return path

    return write


class Site(ThreadingHTTPServer):
    """One file on loopback, under any name.

    Attributes:
        content: The file.
        cuts: For each connection, how many bytes of the answer are sent before it is cut.
        answers: For each connection, a status to answer with instead of the file.
        has_ranges: Whether the server goes on where the client asks it to.
        announces: Whether it says how much it will send.
        moved_to: Where it sends the client to.
        silence: Seconds it waits in the middle of each answer.
        asked: What each connection asked to begin with; None for the whole file.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = b""
        self.cuts: list[int] = []
        self.answers: list[int] = []
        self.has_ranges = self.announces = True
        self.moved_to = ""
        self.silence = 0.0
        self.asked: list[str | None] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, *_: object) -> None:
        """Be quiet about clients that hang up."""


class _Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site, begin = self.server, self.headers.get("Range")
        site.asked.append(begin)
        if site.moved_to or site.answers:
            self.send_response(302 if site.moved_to else site.answers.pop(0))
            self.send_header("Location", site.moved_to)
            self.end_headers()
            return
        start = int(begin[6:-1]) if begin and site.has_ranges else 0
        if start and start >= len(site.content):
            self.send_error(416)
            return
        rest = site.content[start:]
        self.send_response(206 if start else 200)
        if site.announces:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        rest = rest[: site.cuts.pop(0)] if site.cuts else rest
        self.wfile.write(rest[: len(rest) // 2])
        self.wfile.flush()
        time.sleep(site.silence)
        self.wfile.write(rest[len(rest) // 2 :])

    def log_message(self, *_: object) -> None:
        """Be quiet about requests."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server, and a client that neither takes a proxy to it nor pauses between its tries."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("atrous.weights.download._PAUSE", 0.0)
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
