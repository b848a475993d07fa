"""The model card: front matter that YAML reads, Markdown that no text can break, no invented facts."""

import re

import pytest
import yaml
from report_samples import empty_result, full_config, full_result, pretrained_result

from reknit.report.card import hub_id, markdown, model_card
from reknit.runs.result import RunResult

HOSTILE = 'a | b\n---\n<script>alert(1)</script> `x` ``` **y** [z](http://h) \\| "q": {k}'


def card_of(result: dict, config: dict) -> str:
    return model_card(RunResult.from_json(result), config)


def front_matter(card: str) -> dict:
    opening, matter, _ = card.split("---\n", 2)
    assert opening == ""
    return yaml.safe_load(matter)


def test_front_matter():
    assert front_matter(card_of(full_result(), full_config())) == {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "feature-extraction", "sentence-similarity", "reknit", "retromae", "simcse"],
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
    }


def test_it_says_what_was_measured_trained_and_how_to_load_it():
    card = card_of(full_result(), full_config())
    for shown in (
        "**Use the adapted model:** mean nDCG@10",
        "| BM25 + adapted | **0.368** (0.338–0.398) |",
        "documents: 36,123",
        "RetroMAE: Pre-Training Retrieval-Oriented Language Models, arXiv:2205.12035",
        "800 steps, 3,276,800 tokens, 0:18:20",
        "SentenceTransformer(",
        "reknit.load(",
        "reknit adapt corpus.jsonl",
        "```bibtex\n@inproceedings{key, title={A title}}\n```",
    ):
        assert shown in card
    assert card.count("@inproceedings") == 1


@pytest.mark.parametrize(
    "start", ["scratch", "./model", "/models/minilm", "models\\x", "a/b/c", "minilm", "a--b/c", "", "../up/x"]
)
def test_base_model_only_for_a_hub_id(start):
    assert hub_id(start) is None
    assert "base_model" not in front_matter(card_of({**full_result(), "start": start}, {}))


def test_a_local_folder_is_no_base_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub_id("org/name") == "org/name"
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert hub_id("org/name") is None


@pytest.mark.parametrize("missing", [*full_result(), "everything"])
def test_any_part_may_be_missing(missing):
    result = {} if missing == "everything" else {k: v for k, v in full_result().items() if k != missing}
    card = card_of(result, {})
    assert front_matter(card)["tags"][3] == "reknit"
    assert "None" not in card
    assert "nan" not in card


def test_a_model_that_was_not_judged_says_so():
    card = card_of(pretrained_result(), full_config())
    assert "**Trained, not evaluated:** the model was trained with retromae, and was not compared" in card
    assert "trained from scratch by reknit on unlabelled text" in card
    assert "There is no index" in card
    for absent in ("## Evaluation", "adapted", "verdict", "to judge by"):
        assert absent not in card


def test_no_training_and_no_labels():
    card = card_of(empty_result(), {"pretrain": None, "tune": None})
    assert "Nothing was trained in this run." in card
    assert "adapted by reknit" not in card
    assert "Citation" not in card


def test_hostile_text_changes_nothing():
    result, config = full_result(), full_config()
    result["start"] = result["command"] = HOSTILE
    result["training"]["phases"][0]["recipe"] = HOSTILE
    result["evaluations"][0] |= {"dataset": HOSTILE, "notes": [HOSTILE]}
    rows = result["evaluations"][0]["rows"]
    rows[HOSTILE] = rows["bm25"]
    config["pretrain"]["card"] |= {"title": HOSTILE, "citation": HOSTILE}
    card = card_of(result, config)
    assert front_matter(card)["tags"][4] == HOSTILE
    prose = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", card.split("---\n", 2)[2], flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in prose
    assert not re.search(r"(?<!\\)\]\(", prose)
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_markdown_escapes_and_stays_on_one_line():
    assert markdown("a|b <i> *c*\n# d") == r"a\|b &lt;i&gt; \*c\* \# d"


def test_an_expanded_model_says_how_queries_are_encoded():
    assert "query_expansion" not in card_of(full_result(), full_config())
    card = card_of({**full_result(), "model_expands_queries": True}, full_config())
    assert 'model.encode(["a query"], prompt_name="query")' in card
    assert 'other libraries leave that out, and the row "plain" says how well they search' in card
    assert "not significantly better" not in card
    plain = full_result()["verdict"] | {"use": "start", "difference": -0.004}
    unsure = {"model_expands_queries": True, "plain_verdict": plain}
    assert "is not significantly better than the start model (-0.004)" in card_of(full_result() | unsure, full_config())


def test_prompts_are_put_into_what_is_shown():
    assert "prompt_name" not in card_of(full_result(), full_config())
    card = card_of({**full_result(), "model_prompts": {"query": "query: "}}, full_config())
    assert 'The model expects "query: " before a query; `prompt_name` puts it there.' in card
    assert card.count('model.encode(["a query"], prompt_name="query")') == 2
    assert 'passages = model.encode(["a passage"])' in card, "in sentence-transformers there is no prompt of this name"


def test_a_trained_pooling_is_said_to_be_reknits_alone():
    assert "trained_pooling" not in card_of(full_result(), full_config())
    card = card_of({**full_result(), "model_trained_pooling": "layer-attention"}, full_config())
    assert "made by a trained pooling (layer-attention), which only reknit runs" in card
    assert "`trained_pooling/` holds the layer-attention pooling" in card
    assert "do not fit an index that reknit made" in card
