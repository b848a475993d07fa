"""Hashes of files and settings: other content, another hash; a new field with its default, the same one."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path

from reknit.research.content import content_hash, settings_hash


@dataclass(frozen=True)
class Inner:
    width: int = 3


@dataclass(frozen=True)
class Settings:
    name: str
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = ()


def test_a_folder_is_known_by_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = content_hash(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = content_hash(tmp_path)
    (tmp_path / "b").write_text("y")
    assert len({first, renamed, content_hash(tmp_path), content_hash(tmp_path / "b")}) == 4


def test_settings_are_known_by_what_they_say() -> None:
    first = Settings("a")
    others = [
        replace(first, name="b"),
        replace(first, inner=Inner(4)),
        replace(first, sizes=(1,)),
        replace(first, sizes=(1, 2)),
    ]
    assert len({settings_hash(one) for one in (first, *others)}) == 5
    assert settings_hash(Settings("a", Inner(3))) == settings_hash(first)
    assert settings_hash({"x": first, "y": 1}) != settings_hash({"x": first, "y": 2})


def test_a_new_field_with_its_default_changes_no_hash() -> None:
    def grown(value: int) -> object:
        fields = [("name", str), ("inner", Inner, field(default_factory=Inner)), ("depth", int, field(default=7))]
        return make_dataclass("Settings", fields)("a", Inner(), value)

    assert settings_hash(grown(7)) == settings_hash(Settings("a"))
    assert settings_hash(grown(8)) != settings_hash(Settings("a"))
