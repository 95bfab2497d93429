"""Tensors as bytes: what is packed comes back, what is not ours is refused, nothing is executed."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open
from safetensors.numpy import save

from models.schema.errors import Tampered
from models.schema.tensors import packed, unpacked

_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
records = st.dictionaries(st.text(max_size=8), _values | st.lists(_values, max_size=3), max_size=4)
tensors = st.dictionaries(
    st.text("abc_", min_size=1, max_size=6),
    arrays.arrays(
        st.sampled_from([np.float32, np.uint8, np.int16, np.int64]),
        arrays.array_shapes(max_dims=3, max_side=4) | st.just((0, 5)),
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=30)
@given(tensors, records)
def test_tensors_and_record_come_back_as_they_were(
    given_tensors: dict[str, np.ndarray], record: dict[str, object]
) -> None:
    back, told = unpacked(packed(given_tensors, record))
    assert told == record
    assert set(back) == set(given_tensors)
    for name, value in given_tensors.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value)


def test_a_view_that_is_not_contiguous_is_packed_by_its_values() -> None:
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    back, _ = unpacked(packed({"transposed": whole.T, "every_other": whole[:, ::2]}, {}))
    np.testing.assert_array_equal(back["transposed"], whole.T)
    np.testing.assert_array_equal(back["every_other"], whole[:, ::2])


def test_the_bytes_are_plain_safetensors_that_anybody_can_read(tmp_path: Path) -> None:
    file = tmp_path / "features.safetensors"
    file.write_bytes(packed({"f0": np.ones(3, dtype=np.float32)}, {"backend": "x"}))
    with safe_open(file, framework="numpy") as reader:
        assert list(reader.keys()) == ["f0"]
        assert reader.metadata() == {"record": '{"backend": "x"}'}


def test_a_record_with_numbers_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        packed({}, {"cosine": float("nan")})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        b"\xff" * 64,
        (8).to_bytes(8, "little") + b"not json",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}",
        save({"a": np.ones(2, dtype=np.float32)}),
        save({"a": np.ones(2, dtype=np.float32)}, metadata={"record": "{"}),
        pickle.dumps({"a": [1.0]}),
    ],
    ids=[
        "empty",
        "too_short",
        "absurd_length",
        "not_json",
        "not_an_object",
        "no_metadata",
        "without_record",
        "record_not_json",
        "pickle",
    ],
)
def test_what_was_not_packed_here_is_refused(content: bytes) -> None:
    with pytest.raises(Tampered, match="not readable"):
        unpacked(content)


def test_a_file_cut_anywhere_is_refused() -> None:
    whole = packed({"mel": np.arange(4, dtype=np.float32)}, {"utterance": 1})
    for kept in range(len(whole)):
        with pytest.raises(Tampered):
            unpacked(whole[:kept])


def test_nothing_pickled_is_ever_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (trap,))  # type: ignore[return-value]

    with pytest.raises(Tampered):
        unpacked(pickle.dumps(Trap()))
    assert not trap.exists()
