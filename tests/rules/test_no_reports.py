"""Libraries that report what one does with them to their makers are kept from it."""

import subprocess
import sys

import pytest


def test_openvino_and_nncf_report_nothing():
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    code = (
        "import atrous.fast.openvino_graph, openvino, nncf.telemetry.wrapper as nncf\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__, isinstance(nncf.telemetry, nncf.NNCFTelemetry))"
    )
    words = [sys.executable, "-W", "ignore", "-c", code]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["openvino.tools.ovc.telemetry_stub", "False"]
