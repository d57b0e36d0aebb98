from dataclasses import replace

from atrous.bench import Choice
from atrous.bench.table import cells, notes, skipped


def test_a_line_for_each_way(found):
    titles, *lines = cells(found)
    assert titles[-1] == "roofline"
    assert lines[0] == (
        "torchvision eager fp32", "400.0", "1.00", "1.00 to 1.00", "100 %", "2.0e-06", "50 %",
    )  # fmt: skip
    assert lines[2] == (
        "atrous openvino bf16", "50.0", "8.00", "7.50 to 8.40", "98.76 %", "-", "25 %",
    )  # fmt: skip


def test_memory_has_a_column_where_it_was_measured(found):
    measured = replace(found, rows=tuple(replace(row, peak_mib=512.4) for row in found.rows))
    titles, *lines = cells(measured)
    assert titles[-1] == "MiB"
    assert [line[-1] for line in lines] == ["512"] * 3
    some = (replace(found.rows[0], peak_mib=512.4), *found.rows[1:])
    assert [line[-1] for line in cells(replace(found, rows=some))[1:]] == ["512", "-", "-"]


def test_the_notes_say_what_the_table_is_of(found):
    text = "\n".join(notes(found))
    assert "times: to torchvision eager fp32" in text
    assert "float32; 3 photographs" in text
    assert "of 7.26" in text
    assert "bf16 1,700, fp32 150; of 2.00 G multiply-adds count the 75.00 %" in text
    assert "busy" not in text
    best = "atrous openvino bf16 is 8.00 times as fast as the best peer, torchvision eager fp32"
    assert best in text
    assert "best peer" not in "\n".join(notes(replace(found, rows=found.rows[1:])))


def test_where_no_product_is_measured_there_is_no_roofline(found):
    eight = replace(found, rows=(replace(found.rows[0], roofline=None),), gigaflops={})
    assert cells(eight)[1][-1] == "-"
    assert "roofline" not in "\n".join(notes(eight))


def test_random_weights_and_a_busy_machine_are_said(found):
    choice = Choice(model="random:torchvision/lraspp_mobilenet_v3_large")
    machine = dict(found.machine) | {"load": 6.5}
    text = "\n".join(notes(replace(found, choice=choice, machine=machine)))
    assert "noise under random weights" in text
    assert "the machine was busy: load 6.5 on 2 cores" in text


def test_ways_that_are_skipped_for_one_reason_share_a_line(found):
    why = {"a": "is not installed", "b": "does not fit", "c": "is not installed"}
    lines = ["skipped a, c: is not installed", "skipped b: does not fit"]
    assert skipped(replace(found, skipped=why)) == lines
    assert not skipped(replace(found, skipped={}))
