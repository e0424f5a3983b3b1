"""The skeleton of a body in C: compiled here, and equal to Python's."""

import importlib.util
import json
import random
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.codec import rest_forms
from eas_processor.codec.rest_forms import in_python

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "eas_processor/codec/_skeleton.c"
JSON_LIKE = st.text('0123456789.-+eE \t\r\n[]{},:"/*\\aÿ\0', max_size=300).map(str.encode)


def module_at(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def build():
    return module_at(ROOT / "scripts/build_native.py", "build_native")


@pytest.fixture(scope="module")
def compiled(build, tmp_path_factory):
    """The function, compiled anew."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    target = tmp_path_factory.mktemp("native") / f"_skeleton{suffix}"
    reason = build.compile_failure(SOURCE, target)
    if reason:
        pytest.skip(f"nothing is compiled on this machine: {reason}")
    return module_at(target, "_skeleton").skeleton


def test_what_can_be_compiled_is_what_the_host_uses(compiled):
    assert rest_forms.skeleton is not in_python
    assert rest_forms.skeleton(b"[1.5, -2e3]") == b"[,]"


@given(body=st.binary(max_size=300) | JSON_LIKE)
def test_c_keeps_what_python_keeps(compiled, body):
    assert compiled(body) == in_python(body)


def test_each_byte_at_each_place_of_a_block(compiled):
    every = bytes(range(256))
    for shift in range(65):
        body = b"0" * shift + every + b"7" * (64 - shift)
        assert compiled(body) == in_python(body)


def test_a_body_that_is_worth_letting_other_threads_run(compiled):
    numbers = random.Random(0)
    rows = [[numbers.random() * 1e-5, -3, [numbers.randrange(99)]] for _ in range(20_000)]
    body = json.dumps({"instances": rows}).encode()
    assert len(body) > 1 << 19
    assert compiled(body) == in_python(body)


@pytest.mark.parametrize("body", [b"", b",", b"9", b"[" * 64, b"0" * 64, b"[" * 65, b" " * 129])
def test_all_or_nothing_is_left(compiled, body):
    assert compiled(body) == in_python(body)


def test_what_is_no_body_is_a_type_error(compiled):
    with pytest.raises(TypeError, match="bytes-like"):
        compiled("[1]")


def test_without_a_compiler_the_reason_is_told(build, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    target = tmp_path / "_skeleton.so"
    target.write_bytes(b"of another Python")
    assert "no-such-compiler" in build.compile_failure(SOURCE, target)
    assert not target.exists()


@pytest.mark.parametrize("compiler", ["false", "true"])
def test_a_compiler_that_makes_nothing_and_says_nothing_is_named(
    build, tmp_path, monkeypatch, compiler
):
    monkeypatch.setenv("CC", compiler)
    assert f"{compiler} ended with" in build.compile_failure(SOURCE, tmp_path / "_skeleton.so")


def test_a_folder_that_is_read_only_is_told(build, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file/_skeleton.so" in build.compile_failure(SOURCE, tmp_path / "file" / "_skeleton.so")


def test_what_does_not_compile_is_told_in_the_compilers_words(build, compiled, tmp_path):
    wrong = tmp_path / "wrong.c"
    wrong.write_text("#error for no such processor")
    assert "for no such processor" in build.compile_failure(wrong, tmp_path / "wrong.so")
