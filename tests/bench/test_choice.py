import json

import pytest

from atrous.bench import Choice
from atrous.errors import UsageError
from atrous.fast.engines import ENGINES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"engines": ("optimised",)}, "did you mean optimized"),
        ({"engines": ("auto",)}, "use torch"),
        ({"engines": ()}, "at least one engine"),
        ({"engines": ("all", "torch")}, "engine 'all' is unknown here"),
        ({"precisions": ("fp16",)}, "precision 'fp16' is unknown here; did you mean"),
        ({"precisions": ()}, "at least one precision"),
        ({"against": ("torchvison",)}, "did you mean torchvision"),
        ({"rounds": 0}, "--rounds must be 1 or more, got 0"),
        ({"threads": 0}, "--threads must be 1"),
        ({"batch": -1}, "--batch must be 1"),
        ({"engines": ("onnxruntime",), "precisions": ("bf16",)}, "computes in fp32, not bf16"),
    ],
)
def test_wrong_words_are_refused(words, said):
    with pytest.raises(UsageError, match=said):
        Choice(**words)


def test_all_are_all_engines_and_none_is_named_twice():
    assert Choice(engines=("all",)).engines == tuple(ENGINES)
    assert Choice(engines=("torch", "torch")).engines == ("torch",)


def test_the_peers_are_first():
    choice = Choice(engines=("all",), precisions=("fp32", "bf16"), against=("torchvision", "smp"))
    names = [way.name for way in choice.ways()]
    assert names == [
        *(
            f"{library} {way}"
            for library in ("torchvision", "smp")
            for way in (
                *("eager fp32", "channels-last fp32", "channels-last bf16"),
                *("torch.compile fp32", "torch.compile bf16"),
                *("ONNX Runtime fp32", "OpenVINO fp32", "OpenVINO bf16"),
            )
        ),
        "atrous torch fp32",
        "atrous optimized fp32",
        "atrous optimized bf16",
        "atrous compiled fp32",
        "atrous compiled bf16",
        "atrous onnxruntime fp32",
        "atrous openvino fp32",
        "atrous openvino bf16",
    ]


def test_json_gives_it_back():
    choice = Choice(size=(3, 4), photos=("a.jpg",), against=("smp",), threads=1)
    assert Choice.from_json(json.loads(json.dumps(choice.to_json()))) == choice
