"""Settings for all tests; they stand before torch is imported anywhere."""

import os
import shutil
import subprocess
from collections.abc import Callable

# Two test processes on two cores: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that wants the network shall fail, not wait

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CAMVID = Path(__file__).parents[2] / "shared" / "camvid"


@pytest.fixture(scope="session")
def camvid():
    """Return the folder of the CamVid data set, which lies beside some checkouts only."""
    if not CAMVID.is_dir():
        pytest.skip(f"{CAMVID} is not here; it is no part of the project")
    return CAMVID


@pytest.fixture
def browse(tmp_path) -> Callable[..., tuple[str, list[str]]]:
    """Return what opens a page from disk: its document in the end, and the lines of its console.

    What the page asks of the network fails, and is a line of the console. A query makes the page
    wait until nothing more happens on it. Without a browser the test is skipped, for which
    `.ci/run` installs one where it may.
    """
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")

    def opened(page: Path, query: str = "") -> tuple[str, list[str]]:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files")
        quiet = ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]
        quiet += ["--virtual-time-budget=8000"] if query else []
        result = subprocess.run(
            [
                *(browser, *options, *quiet, f"--user-data-dir={tmp_path / 'profile'}"),
                *("--enable-logging=stderr", "--dump-dom", page.as_uri() + query),
            ],
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        return result.stdout, [line for line in result.stderr.splitlines() if "CONSOLE" in line]

    return opened


@pytest.fixture
def widths(browse) -> Callable[[Path], list[tuple[int, int]]]:
    """Return what shows a page 1280 and 420 pixels wide: width of the frame, and of the page."""

    def measured(page: Path) -> list[tuple[int, int]]:
        frames = page.with_name(f"frames-{page.name}")
        frames.write_text(_FRAMES.replace("PAGE", page.name), encoding="utf-8")
        document, console = browse(frames)
        assert console == []
        lines = document.partition("<body>")[2].split("<p>")[1:]
        return [(int(a), int(b.partition("<")[0])) for a, b in map(str.split, lines)]

    return measured


_FRAMES = """<!doctype html><title>measuring</title>
<iframe src="PAGE" style="width:1280px;height:900px"></iframe>
<iframe src="PAGE" style="width:420px;height:900px"></iframe>
<script>
onload = () => {
  const roots = [...document.querySelectorAll("iframe")].map(f => f.contentDocument.documentElement)
  document.body.innerHTML = roots.map(r => `<p>${r.clientWidth} ${r.scrollWidth}</p>`).join("")
}
</script>
"""
