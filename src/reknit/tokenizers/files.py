"""A tokenizer's facts from its two JSON files alone.

Importing transformers takes most of a second, more than a search. Its tokenizers are a Rust tokenizer (tokenizer.json)
and some names of special tokens (tokenizer_config.json); where these files leave nothing open they are read here.
`tests/tokenizers/test_tokenizer_files.py` holds the two ways against each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# transformers takes tokenizer.json as it stands for the first kind, and rebuilds it from vocabulary and settings for
# the second. Under another model_type either class may stand for something else.
_AS_IT_STANDS = {"PreTrainedTokenizerFast": "modernbert", "TokenizersBackend": "modernbert"}
_REBUILT = {"BertTokenizer": "bert", "BertTokenizerFast": "bert"}
# What a tokenizer_config.json may say without changing which tokens a text becomes.
_HARMLESS = {
    *_NAMES,
    "added_tokens_decoder",
    "backend",
    "clean_up_tokenization_spaces",
    "do_basic_tokenize",
    "do_lower_case",
    "is_local",
    "local_files_only",
    "max_length",
    "model_input_names",
    "model_max_length",
    "model_specific_special_tokens",
    "name_or_path",
    "pad_to_multiple_of",
    "pad_token_type_id",
    "padding_side",
    "special_tokens_map_file",
    "stride",
    "strip_accents",
    "tokenize_chinese_chars",
    "tokenizer_class",
    "tokenizer_file",
    "truncation_side",
    "truncation_strategy",
}
# And what it may name as long as it is empty.
_EMPTY = {"additional_special_tokens", "extra_special_tokens", "never_split"}


@dataclass(frozen=True)
class TokenizerFacts:
    """What reknit needs to know of a tokenizer.

    rust: the `tokenizers.Tokenizer`, without padding and truncation. special_ids: tokens with a special name. pad,
    mask: ids, -1 where there is none. mask_token: as text, "" where there is none. truncation_side: "left" or "right".
    """

    rust: Any
    special_ids: tuple[int, ...]
    pad: int
    mask: int
    mask_token: str
    truncation_side: str


def facts_of(hf: Any) -> TokenizerFacts:
    """The facts of a fast transformers tokenizer, whose own padding and truncation are switched off."""
    import tokenizers

    hf.backend_tokenizer.no_padding()
    hf.backend_tokenizer.no_truncation()
    return TokenizerFacts(
        rust=tokenizers.Tokenizer.from_str(hf.backend_tokenizer.to_str()),
        special_ids=tuple(hf.all_special_ids),
        pad=-1 if hf.pad_token_id is None else hf.pad_token_id,
        mask=-1 if hf.mask_token_id is None else hf.mask_token_id,
        mask_token=hf.mask_token or "",
        truncation_side=hf.truncation_side,
    )


def read_facts(folder: Path) -> TokenizerFacts | None:
    """The facts of the tokenizer in a folder; None where only transformers knows how to read it.

    That is so for every class and setting that is not known here, for files that contradict each other, and for
    damaged ones (transformers has the words for what is wrong with them).
    """
    import tokenizers

    try:
        config, tokenizer, model = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in ("tokenizer_config.json", "tokenizer.json", "config.json")
        )
        if not _plain(folder, config, tokenizer, model):
            return None
        rust = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # the Rust part raises bare ones
        return None
    rust.no_padding()
    rust.no_truncation()
    ids: dict[str, Any] = {name: rust.token_to_id(token) for name, token in _named(config).items()}
    side = config.get("truncation_side") or (tokenizer.get("truncation") or {}).get("direction", "right")
    return TokenizerFacts(
        rust=rust,
        special_ids=tuple(ids.values()),
        pad=ids.get("pad_token", -1),
        mask=ids.get("mask_token", -1),
        mask_token=_named(config).get("mask_token", ""),
        truncation_side=side.lower(),
    )


def _plain(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any], model: dict[str, Any]) -> bool:
    """Whether the files are of a known kind and say the same."""
    given = {name for name, value in config.items() if name not in _EMPTY or value}
    if given - _HARMLESS or (folder / "added_tokens.json").exists():
        return False
    special = {token["content"]: token for token in tokenizer["added_tokens"] if token["special"]}
    named = _named(config)
    if not set(named.values()) <= set(special) or ("pad_token" not in named and tokenizer.get("padding")):
        return False
    listed = config.get("added_tokens_decoder")
    by_id = {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in tokenizer["added_tokens"]}
    if listed and listed != by_id:
        return False
    separate = folder / "special_tokens_map.json"
    if separate.exists() and _named(json.loads(separate.read_text(encoding="utf-8"))) != named:
        return False
    kind = config.get("tokenizer_class", "")
    if _AS_IT_STANDS.get(kind) == model.get("model_type"):
        return tokenizer.get("post_processor") is not None
    return _REBUILT.get(kind) == model.get("model_type") and _is_berts(config, tokenizer, special)


def _is_berts(config: dict[str, Any], tokenizer: dict[str, Any], special: dict[str, dict[str, Any]]) -> bool:
    """Whether tokenizer.json holds what transformers' BertTokenizer makes of its vocabulary and tokenizer_config.json.

    Its decoder is not looked at: no token depends on it.
    """
    cls, sep = config.get("cls_token"), config.get("sep_token")
    if cls not in special or sep not in special:
        return False
    first, last = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (cls, sep))
    text = {"Sequence": {"id": "A", "type_id": 0}}
    core, ends = tokenizer["model"], tokenizer["post_processor"]
    fixed = {name: core.get(name) for name in ("type", "unk_token", "continuing_subword_prefix")}
    return (
        fixed == {"type": "WordPiece", "unk_token": config.get("unk_token"), "continuing_subword_prefix": "##"}
        and core.get("max_input_chars_per_word") == 100
        and tokenizer["normalizer"]
        == {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": config.get("tokenize_chinese_chars", True),
            "strip_accents": config.get("strip_accents"),
            "lowercase": config.get("do_lower_case", True),
        }
        and tokenizer["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        and ends.get("type") == "TemplateProcessing"
        and ends["single"] == [first, text, last]
        and all(ends["special_tokens"][token]["ids"] == [special[token]["id"]] for token in (cls, sep))
    )


def _named(config: dict[str, Any]) -> dict[str, str]:
    """{name: token} of the special tokens that a configuration names, in their long form or their short one."""
    found = {name: config[name] for name in _NAMES if config.get(name) is not None}
    return {name: token["content"] if isinstance(token, dict) else token for name, token in found.items()}
