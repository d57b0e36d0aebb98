"""Files that were made to do harm: each is refused by name within a second, and nothing happens.

They are made here, and read in one process of their own, where an audit hook notes whatever starts,
connects, writes, deletes or imports.
"""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from atrous.models import Preprocessing, create_model
from atrous.weights.model_file import digest

Make = Callable[[Path], object]

# Reads each file through both doors, and prints a JSON line for each: what was raised, how long it
# took, what the hook saw. A good file goes first, so that all that is imported late is imported.
WATCHER = """
import encodings.cp437, encodings.raw_unicode_escape  # which zipfile and pickletools use
import json, os, resource, sys, time
from pathlib import Path
import atrous
from atrous.errors import AtrousError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

good, *files = json.loads(sys.argv[1])
atrous.convert(good)
seen = []

def hook(event, args):
    if event == "open":
        _, mode, flags = args
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append(f"{event} {args}")
    elif event.partition(".")[0] in ("subprocess", "socket", "shutil", "urllib", "http", "pty"):
        seen.append(f"{event} {args}")
    elif event in ("exec", "compile", "import", "pickle.find_class", "ctypes.dlopen"):
        seen.append(f"{event} {str(args)[:200]}")
    elif event.startswith("os.") and event not in ("os.listdir", "os.scandir"):
        seen.append(f"{event} {args}")

sys.addaudithook(hook)
for file in files:
    for door in (atrous.convert, atrous.load_model):
        seen.clear()
        start, before = time.process_time(), peak()
        try:
            door(Path(file))
            said = kind = "nothing"
        except Exception as error:
            said, kind = str(error), type(error).__name__
        seconds = time.process_time() - start
        report = {"said": said, "kind": kind, "seconds": seconds, "seen": list(seen)}
        report["more_memory"] = peak() - before
        print(json.dumps({"file": file, "door": door.__name__} | report))
"""


class Payload:
    """Unpickling it calls `function`."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


TOUCH = "touch sprung"
PAYLOADS = {
    "system": Payload(os.system, TOUCH),
    "eval": Payload(eval, "open('sprung', 'w')"),
    "exec": Payload(exec, "open('sprung', 'w').close()"),
    "getattr": Payload(getattr, Payload(__import__, "os"), "system"),
    "popen": Payload(subprocess.Popen, ["touch", "sprung"]),
    "torch": Payload(torch.load, "evil.pth"),
    "file": Payload(open, "sprung", "w"),
}


def plain(payload: object, protocol: int = 2) -> Make:
    return lambda path: path.write_bytes(pickle.dumps({"weight": payload}, protocol))


def zipped(content: bytes, *, name: str = "archive/data.pkl", method: int = 0) -> Make:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression=method) as archive:
            archive.writestr(name, content)

    return make


def zipped_pickle(payload: object, protocol: int = 2) -> Make:
    return zipped(pickle.dumps({"weight": payload}, protocol))


def legacy(path: Path) -> None:
    state = {"weight": Payload(os.system, TOUCH)}
    torch.save(state, path, _use_new_zipfile_serialization=False)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        content = pickle.dumps(Payload(os.system, TOUCH))
        entry = tarfile.TarInfo("pickle")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def truncated_zip(path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def absurd_zip(path: Path) -> None:
    """Write a zip whose directory claims 4 GB for one entry."""
    torch.save({"weight": torch.zeros(1000)}, path)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = b"\xfe\xff\xff\xff" * 2
    path.write_bytes(content)


def broken_checksum(path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(b"weight")] ^= 1
    path.write_bytes(content)


def two_pickles(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("other/data.pkl", pickle.dumps(Payload(os.system, TOUCH), 2))


def program(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/code/__torch__.py", "import os")


def tensors(header: object, data: bytes = b"\0" * 8) -> Make:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda path: path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def entry(dtype: str = "F32", shape: tuple[int, ...] = (1,), offsets: tuple[int, ...] = (0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def lraspp() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=2).state_dict()


def altered(**changes: torch.Tensor | None) -> Make:
    state = lraspp() | {key.replace("__", "."): tensor for key, tensor in changes.items()}
    kept = {key: tensor for key, tensor in state.items() if tensor is not None}
    return lambda path: save_file(kept, path)


def model_file(text: str | None = None, **facts: object) -> Make:
    """Return what writes a file like those of atrous, but for `facts`, or with any other text."""
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2)
    state = model.state_dict()
    right = {
        "format": "atrous-model-1",
        "model": model.blueprint.model_dump(mode="json"),
        "classes": model.classes,
        "palette": model.palette,
        "preprocessing": vars(Preprocessing()),
        "sha256": digest(state),
    }
    right["model"] |= facts.pop("model", {})
    content = json.dumps(right | facts) if text is None else text
    return lambda path: path.write_bytes(save(state, metadata={"atrous": content}))


NAN = torch.full((2, 40, 1, 1), torch.nan)
LOW = "classifier__low_classifier__weight"
NOT_TORCH = "not a checkpoint of torch, but "

# name: (what makes it, what is said of it)
CHECKPOINTS: dict[str, tuple[Make, str]] = {
    **{
        f"plain-{name}.pth": (plain(payload), f"{NOT_TORCH}a pickle that torch.save did not")
        for name, payload in PAYLOADS.items()
    },
    **{
        f"zip-{name}.pth": (zipped_pickle(payload), "its pickle asks for ")
        for name, payload in PAYLOADS.items()
    },
    "text-pickle.pth": (plain(PAYLOADS["system"], 0), f"{NOT_TORCH}a file that begins with"),
    "zip-text.pth": (zipped_pickle(PAYLOADS["system"], 0), "its pickle asks for posix.system"),
    "zip-stack.pth": (zipped_pickle(PAYLOADS["system"], 4), "its pickle uses STACK_GLOBAL"),
    "zip-inst.pth": (zipped(b"(S'touch'\nios\nsystem\n."), "its pickle uses INST"),
    "zip-extension.pth": (zipped(b"\x80\x02\x82\x01."), "its pickle uses EXT1"),
    "zip-cut.pth": (zipped(b"\x80\x02}X\xff\xff\xff\xff"), "its pickle is damaged"),
    "zip-long.pth": (zipped(b"\x80\x02" + b"N0" * 300_000 + b"N."), "more than 500000 steps"),
    "legacy.pth": (legacy, "its pickle asks for posix.system"),
    "tar.pth": (tar, f"{NOT_TORCH}a tar archive"),
    "bomb.pth": (zipped(b"\0" * 50_000_000, method=8), "a compressed zip archive"),
    "truncated.pth": (truncated_zip, "a damaged zip archive"),
    "absurd.pth": (absurd_zip, "its zip directory claims 42949"),
    "checksum.pth": (broken_checksum, "a damaged zip archive"),
    "no-pickle.pth": (zipped(b"", name="archive/data"), "with 0 data.pkl"),
    "two-pickles.pth": (two_pickles, "with 2 data.pkl"),
    "program.pt": (program, "a TorchScript program"),
    "empty.pth": (Path.touch, f"{NOT_TORCH}empty"),
    "page.pth": (lambda path: path.write_text("<!DOCTYPE html>"), f"{NOT_TORCH}a web page"),
    "folder.pth": (Path.mkdir, "no such file"),
    "fifo.pth": (os.mkfifo, "no such file"),
    "link.pth": (lambda path: path.symlink_to("nowhere"), "no such file"),
    "renamed-pickle.safetensors": (plain(PAYLOADS["system"]), "not a .safetensors file"),
    "renamed-zip.safetensors": (zipped_pickle(PAYLOADS["system"]), "not a .safetensors file"),
    "empty.safetensors": (Path.touch, "not a .safetensors file"),
    "fifo.safetensors": (os.mkfifo, "no such file"),
    "no-json.safetensors": (tensors(b"{'a': 1}"), "not a .safetensors file"),
    "no-text.safetensors": (tensors(b"\xff\xfe{}"), "not a .safetensors file"),
    "nested.safetensors": (tensors(b'{"a":' * 200_000), "not a .safetensors file"),
    "length.safetensors": (
        lambda path: path.write_bytes((2**63).to_bytes(8, "little") + b"{}"),
        "not a .safetensors file",
    ),
    "overlap.safetensors": (
        tensors({"a": entry(offsets=(0, 4)), "b": entry(offsets=(2, 6))}),
        "not a .safetensors file",
    ),
    "duplicate.safetensors": (
        tensors(b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2)),
        "not a .safetensors file",
    ),
    "type.safetensors": (tensors({"a": entry("OBJECT")}), "not a .safetensors file"),
    "size.safetensors": (tensors({"a": entry(shape=(2**62, 2**62))}), "not a .safetensors file"),
    "beyond.safetensors": (tensors({"a": entry(offsets=(0, 2**40))}), "not a .safetensors file"),
    "nan.safetensors": (altered(**{LOW: NAN}), "classifier.low_classifier.weight"),
    "missing.safetensors": (altered(**{LOW: None}), "classifier.low_classifier.weight is missing"),
    "extra.safetensors": (altered(evil__weight=torch.ones(1)), "evil.weight"),
    "shape.safetensors": (altered(**{LOW: torch.ones(2, 41, 1, 1)}), "has shape (2, 41, 1, 1)"),
    "stranger.safetensors": (lambda path: save_file({"a": torch.ones(1)}, path), "(a …) are of no"),
}
MODEL_FILES: dict[str, tuple[Make, str]] = {
    "target.safetensors": (model_file(_target_="os.system"), "_target_: Extra inputs are not"),
    "class-path.safetensors": (
        model_file(model={"architecture": "os.system"}),
        "architecture 'os.system' is unknown",
    ),
    "hub.safetensors": (
        model_file(model={"backbone": "hf-hub:evil/model"}),
        "backbone 'hf-hub:evil/model' is unknown to timm",
    ),
    "enormous.safetensors": (
        model_file(model={"backbone": "resnetv2_101x3_bit"}),  # 388 million parameters
        "tensors do not fit",
    ),
    "wide.safetensors": (model_file(model={"channels": 65535}), "tensors do not fit"),
    "nested-facts.safetensors": (model_file("[" * 200_000), "its metadata cannot be read"),
    "no-facts.safetensors": (model_file("__import__('os')"), "its metadata cannot be read"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name, (make, _) in (CHECKPOINTS | MODEL_FILES).items():
        make(folder / name)
    save_file(lraspp(), folder / "good.safetensors")
    return folder


@pytest.fixture(scope="module")
def outcomes(folder) -> dict[tuple[str, str], dict]:
    """What happened to each file at each door, in a process that was watched."""
    names = ["good.safetensors", *CHECKPOINTS, *MODEL_FILES]
    files = json.dumps([os.fspath(folder / name) for name in names])
    words = [sys.executable, "-W", "ignore", "-c", WATCHER, files]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return {(Path(report["file"]).name, report["door"]): report for report in reports}


def test_there_are_many():
    assert len(CHECKPOINTS) + len(MODEL_FILES) >= 50


@pytest.mark.parametrize("name", [*CHECKPOINTS, *MODEL_FILES])
@pytest.mark.parametrize("door", ["convert", "load_model"])
def test_it_is_refused_in_one_line_that_names_it(outcomes, folder, name, door):
    outcome = outcomes[name, door]
    assert outcome["kind"] == "DataError", outcome
    assert outcome["said"].startswith(f"{folder / name}: ")
    assert "\n" not in outcome["said"]
    assert len(outcome["said"]) < len(f"{folder}") + 400


@pytest.mark.parametrize("name", [*CHECKPOINTS, *MODEL_FILES])
def test_it_is_refused_for_what_is_wrong_with_it(outcomes, name):
    table, door = (CHECKPOINTS, "convert") if name in CHECKPOINTS else (MODEL_FILES, "load_model")
    assert table[name][1] in outcomes[name, door]["said"]


@pytest.mark.parametrize("name", [*CHECKPOINTS, *MODEL_FILES])
@pytest.mark.parametrize("door", ["convert", "load_model"])
def test_it_takes_seconds_at_most_and_nothing_happens(outcomes, name, door):
    assert outcomes[name, door]["seconds"] < 5  # of a processor; about one where it is slow
    assert outcomes[name, door]["seen"] == []
    assert outcomes[name, door]["more_memory"] < 300_000  # kB


def test_no_payload_went_off(outcomes, folder):
    assert outcomes
    assert not (folder / "sprung").exists()


def test_the_payloads_are_live(tmp_path, monkeypatch):
    # Else nothing above would show anything.
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(PAYLOADS["exec"]))  # noqa: S301, it is ours
    assert (tmp_path / "sprung").exists()
