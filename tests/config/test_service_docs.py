"""The table of keys in the documentation is the table in the code."""

from pathlib import Path

from eas_processor.config.keys import KEYS, Key, Kind

PAGE = Path(__file__).parents[2] / "docs" / "service-json.md"


def default_of(key: Key) -> str:
    if isinstance(key.default, bool):
        return str(key.default).lower()
    unit = {Kind.MILLISECONDS: " ms", Kind.SECONDS: " s"}.get(key.kind, "")
    return "" if key.default is None else f"{key.default}{unit}"


def expected_rows() -> list[str]:
    rows = []
    told: dict[str, list[str]] = {}
    for key in KEYS:
        if key.kind is Kind.FREE and not key.acted:
            told.setdefault(key.meaning, []).append(f"`{key.path}`")
            continue
        acts = "yes" if key.acted else "accepted"
        rows.append(f"| `{key.path}` | {key.meaning} | {default_of(key)} | {acts} |")
    rows += [f"| {', '.join(paths)} | {meaning} | | accepted |" for meaning, paths in told.items()]
    return rows


def test_the_page_lists_every_key_as_the_code_has_it() -> None:
    written = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and line.endswith((" yes |", " accepted |"))
    ]
    assert written == expected_rows(), "it should be:\n" + "\n".join(expected_rows())
