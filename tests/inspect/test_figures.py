from atrous.inspect.figures import figures


def test_a_table_has_a_head_and_a_row_for_each():
    table = figures(["", "<a>"], [["x", 1], ["y", "<b>"]], "layers")
    assert '<th scope="col">&lt;a&gt;</th>' in table
    assert '<th scope="row">y</th><td>&lt;b&gt;</td>' in table
    assert 'class="figures layers"' in table
