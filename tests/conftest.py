"""Settings for all tests; they stand before torch is imported anywhere."""

import os

# Two test processes on two cores: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that wants the network shall fail, not wait

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

CAMVID = Path(__file__).parents[2] / "shared" / "camvid"


@pytest.fixture(scope="session")
def camvid():
    """Return the folder of the CamVid data set, which lies beside some checkouts only."""
    if not CAMVID.is_dir():
        pytest.skip(f"{CAMVID} is not here; it is no part of the project")
    return CAMVID
