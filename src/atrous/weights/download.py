"""Files over HTTPS: resumed where the connection was cut, and checked before they are used."""

import ipaddress
import os
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from atrous.errors import DataError, ResourceError
from atrous.weights.part_file import PartFile, has_sha256, open_part

_TRIES = 3
_PAUSE = 1.0  # seconds before another try
_CHUNK = 2**18  # bytes
_SILENCE = 30.0  # seconds without a byte, after which a connection counts as cut
_WHOLE_ALREADY = 416  # the server has nothing behind what came before
_MAY_PASS = {408, 425, 429}  # answers of a busy server, beside all from 500 up


def cache_folder() -> Path:
    """Return where downloads are kept: `ATROUS_CACHE`, or `atrous` in the user's cache folder."""
    if own := os.environ.get("ATROUS_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atrous"


def to_stderr(line: str) -> None:
    """Tell the user something in one line."""
    sys.stderr.write(f"{line}\n")


def download(
    url: str,
    file: Path,
    *,
    sha256: str,
    size: int,
    say: Callable[[str], object] = to_stderr,
    silence: float = _SILENCE,
) -> Path:
    """Return `file`, which is fetched unless it is there and is the right one.

    What comes is kept beside it, as `.part`, until the file is whole. Several processes can ask for
    the same file: one fetches it, the others wait.

    Args:
        url: Where it is: `https`, or `http` on this machine.
        file: Where to put it; its folder is made.
        sha256: What its SHA-256 begins with, or all of it.
        size: Its bytes, as far as they are known, to tell the user.
        say: Told, in one line each, what is fetched and what is waited for.
        silence: Seconds without a byte, after which a connection counts as cut.

    Raises:
        DataError: The address is not safe, or not to be reached; there is no such file; the
            connection was cut three times; or the file is not the right one, and was removed.
        ResourceError: The disk is full; what came is kept.
    """
    if not _is_safe(url):
        raise DataError(f"{url}: is not fetched, as weights come over https only")
    if has_sha256(file, sha256):
        return file
    with open_part(file, say=say) as part:
        if has_sha256(file, sha256):  # the process that was waited for has fetched it
            part.clear()
            return file
        came = f", of which {part.size / 1e6:.1f} MB are here already" if part.size else ""
        say(f"downloading {url} ({size / 1e6:.1f} MB{came}) to {file}")
        _fetch(url, part, silence)
        part.finish(sha256)
    return file


def _fetch(url: str, part: PartFile, silence: float) -> None:
    """Receive what is missing, in several connections where one is cut."""
    reason = ""
    for number in range(_TRIES):
        time.sleep(_PAUSE if number else 0)
        try:
            if _receive(url, part, silence):
                return
            reason = "the connection was cut"
        except ResourceError:
            raise  # it is an OSError too, but of the disk
        except HTTPError as error:
            error.close()
            if error.code == _WHOLE_ALREADY and part.size:
                return
            reason = f"the server answers {error.code}: {error.reason}"
            if error.code < 500 and error.code not in _MAY_PASS:
                raise DataError(
                    f"{url}: {reason}; this does not pass: get the file by other means, and run "
                    "'atrous convert'"
                ) from error
        except (OSError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    came = f", which goes on from {part.size / 1e6:.1f} MB" if part.size else ""
    raise DataError(
        f"{url}: could not be fetched in {_TRIES} tries ({reason}); see that this machine is "
        f"online and run this again{came}"
    )


def _receive(url: str, part: PartFile, silence: float) -> bool:
    """Append what one connection brings, and return whether that was all."""
    headers = {"User-Agent": "atrous"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
    with _opener().open(Request(url, headers=headers), timeout=silence) as response:  # noqa: S310, https
        if response.status != 206:
            part.clear()  # the server has no ranges, and begins anew
        announced = response.headers.get("Content-Length", "")
        due = part.size + int(announced) if announced.isdecimal() else None
        while chunk := response.read(_CHUNK):
            part.append(chunk)
    return due is None or part.size == due  # if nothing was announced, the SHA-256 decides


def _is_safe(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme == "https" or (address.scheme == "http" and _is_here(address.hostname))


def _is_here(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class _SafeRedirects(HTTPRedirectHandler):
    """Follows a redirection only to where one may download from."""

    def redirect_request(  # noqa: PLR0917, as its base has it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if not _is_safe(newurl):
            raise HTTPError(req.full_url, code, f"{newurl} is not https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    return build_opener(_SafeRedirects)
