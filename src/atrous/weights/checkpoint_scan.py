"""What the bytes of a checkpoint tell before anything reads it: is it torch's, and tensors only.

A scan is no proof and is not taken for one: what passes is read with `weights_only=True` in a
process of its own (`checkpoint_child`). But most of what is wrong is told here, at once, and
nothing has been unpacked or unpickled.
"""

import io
import pickletools
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from atrous.errors import DataError

_ZIP = b"PK\x03\x04"
# The first pickle of torch's format before 1.6: the number 0x1950a86a20f9469cfc6c.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5  # that number, the version, the machine, the content, the names of storages
_MOST_BYTES = 16 * 2**20  # of a pickle without its tensors; ResNet-101's has 0.2 MB
_MOST_OPCODES = 500_000
_MOST_ENTRIES = 100_000

_NUMBERS = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_TYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool"
_NUMPY_FUNCTIONS = ("_reconstruct", "scalar")
# What a state dict, and the plain facts that stand beside it, are made of.
_GLOBALS = {
    *(f"torch {number}Storage" for number in _NUMBERS),
    *(f"torch {kind}" for kind in (*_TYPES.split(), "Size", "Tensor", "device")),
    *(f"torch._utils _rebuild_tensor{version}" for version in ("", "_v2", "_v3")),
    *(f"torch._utils _rebuild_parameter{what}" for what in ("", "_with_state")),
    "torch._tensor _rebuild_from_type_v2",
    "torch.nn.parameter Parameter",
    "torch.storage UntypedStorage",
    *(f"numpy.core.multiarray {name}" for name in _NUMPY_FUNCTIONS),
    *(f"numpy._core.multiarray {name}" for name in _NUMPY_FUNCTIONS),
    "numpy ndarray",
    "numpy dtype",
    "collections OrderedDict",
    "collections Counter",
    "argparse Namespace",
    "_codecs encode",
    "__builtin__ set",
    "__builtin__ bytearray",
}
# Opcodes that find or call things in other ways than GLOBAL and REDUCE do.
_OPCODES = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"}
_BEGINNINGS = {
    b"\x80": "a pickle that torch.save did not write",
    b"\x89HDF": "HDF5, as Keras writes",
    b"<": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself",
    b"\x1f\x8b": "gzip; unpack it first",
}


def scan(path: Path, file: IO[bytes]) -> None:
    """Refuse what is no checkpoint of torch, or holds more than tensors and plain values.

    Args:
        path: What the file is called, for the message.
        file: Its bytes.

    Raises:
        DataError: It is refused; the message begins with the path and says why.
    """
    start = file.read(512)
    file.seek(0)
    try:
        if start.startswith(_ZIP):
            _scan_pickle(io.BytesIO(_pickle_in_zip(file)))
        elif start.startswith(_LEGACY):
            _scan_legacy(file)
        else:
            raise _RefusedError(f"not a checkpoint of torch, but {_describe(start)}")
    except _RefusedError as error:
        raise DataError(f"{path}: {error}") from error


class _RefusedError(Exception):
    """Why a file is not read."""


def _describe(start: bytes) -> str:
    if not start:
        return "empty"
    if start[257:262] == b"ustar":
        return "a tar archive, as torch 0.1 wrote; save it again with torch.save"
    if start[8:9] == b"{":
        return "safetensors; give it the ending .safetensors"
    found = (what for beginning, what in _BEGINNINGS.items() if start.startswith(beginning))
    return next(found, f"a file that begins with {start[:8]!r}")


def _pickle_in_zip(file: IO[bytes]) -> bytes:
    """Return the one pickle of an archive, whose directory claims no more than the file has."""
    size = file.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            entry = _entry_of_pickle(archive.infolist(), size)
            return archive.read(entry)  # zipfile compares the checksum
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise _RefusedError(f"a damaged zip archive ({error}); fetch the file again") from error
    except (RuntimeError, ValueError, OverflowError, struct.error) as error:
        raise _RefusedError(f"a zip archive that cannot be read ({error})") from error


def _entry_of_pickle(entries: Iterable[zipfile.ZipInfo], size: int) -> zipfile.ZipInfo:
    entries = list(entries)
    claimed = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _RefusedError("a compressed zip archive, which torch.save never writes")
    if claimed > size or any(entry.header_offset + entry.file_size > size for entry in entries):
        raise _RefusedError(f"its zip directory claims {claimed} bytes in a file of {size}")
    if len(entries) > _MOST_ENTRIES:
        raise _RefusedError(f"its zip directory has {len(entries)} entries")
    if any("/code/" in entry.filename for entry in entries):
        raise _RefusedError("a TorchScript program; save the state_dict() of its module instead")
    pickles = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise _RefusedError(
            f"a zip archive with {len(pickles)} data.pkl, where torch.save writes one"
        )
    if pickles[0].file_size > _MOST_BYTES:
        raise _RefusedError(
            f"its data.pkl has {pickles[0].file_size} bytes; tensors stand beside it"
        )
    return pickles[0]


def _scan_legacy(file: IO[bytes]) -> None:
    pickles = io.BytesIO(file.read(_MOST_BYTES))
    for _ in range(_LEGACY_PICKLES):
        _scan_pickle(pickles)


def _scan_pickle(file: IO[bytes]) -> None:
    """Refuse a pickle that names what no tensor needs; leave `file` behind its end."""
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if opcode.name == "GLOBAL" and argument not in _GLOBALS:
                raise _RefusedError(
                    f"its pickle asks for {_dotted(argument)}, which no tensor needs"
                )
            if opcode.name in _OPCODES:
                raise _RefusedError(f"its pickle uses {opcode.name}, which no tensor needs")
            if number > _MOST_OPCODES:
                raise _RefusedError(f"its pickle has more than {_MOST_OPCODES} steps")
    except (ValueError, EOFError, IndexError, OverflowError, struct.error) as error:
        raise _RefusedError("its pickle is damaged; fetch the file again") from error


def _dotted(argument: object) -> str:
    """Return `os.system` for `os system`, short, and with nothing that a terminal would obey."""
    return ascii(str(argument).replace(" ", ".", 1))[1:-1][:80]
