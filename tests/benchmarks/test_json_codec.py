"""`benchmarks.json_codec` where the library that it compares with is not there."""

import sys

import pytest

from benchmarks import json_codec


def test_without_orjson_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(SystemExit) as ended:
        json_codec.main()
    assert ended.value.code == 3
    assert "uv pip install orjson" in capsys.readouterr().err
