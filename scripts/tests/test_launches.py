"""What a forward launches, counted in the log of the stand-ins."""

import pytest

from cudarehearsal.launches import Counts, counts, per_layer
from cudarehearsal.trace import Trace


def log(forwards):
    layer = ["7 multiply m=1 n=1 k=1 name=cublasGemmEx", "7 set bytes=8 waits=0",
             "7 launch error=0 grid=1x1x1 block=1x1x1 shared=0 kernel=_ZN3mulE"]
    forward = ["7 copy way=host-device bytes=16 waits=0", "7 copy way=host-device bytes=8 waits=0",
               "7 launch error=0 grid=1x1x1 block=1x1x1 shared=0 kernel=_ZN13_GatherKernelE",
               *layer, *layer, "7 malloc bytes=8 total=8 call=cudaMalloc",
               "7 copy way=device-host bytes=4 waits=0", "7 wait for=stream"]
    return Trace(forward * forwards)


def test_a_forward_is_counted():
    assert counts(log(8)) == Counts(launches=7, uploads=2, upload_bytes=24, waits=1)


def test_a_layer_is_the_difference_of_two_depths():
    assert per_layer(Counts(7, 2, 24, 1), Counts(13, 2, 24, 1)) == (3, 1)


def test_layers_that_differ_are_refused():
    with pytest.raises(ValueError, match="layers differ: 7 and 12 launches"):
        per_layer(Counts(7, 2, 24, 1), Counts(12, 2, 24, 1))
