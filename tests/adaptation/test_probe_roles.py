"""Who watches, chooses and judges: disjoint halves where a checkpoint is chosen, all queries where none is."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
from small_corpus import small_documents

from reknit import catalogue
from reknit.adaptation import probe_roles
from reknit.adaptation.probe_roles import ProbeRoles
from reknit.data.text.documents import Document
from reknit.data.text.holdout import HeldOut, hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.evaluation.probe import drop_shared_words
from reknit.runs.config import ExpansionSpec, RunConfig

PAIRS = catalogue.find("infonce-pairs")
DISTILLED = catalogue.find("hybrid-distillation")
SCRATCH = RunConfig("c", start="scratch", tune=PAIRS)
ADAPTED = RunConfig("c", start="a model", tune=DISTILLED)
PRETRAINED = RunConfig("c", start="scratch", pretrain=catalogue.find("mlm"), keep="last", expansion=ExpansionSpec(0))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> HeldOut:
    documents = (Document(one["_id"], one["title"], one["text"]) for one in small_documents(60))
    store = PassageStore.build(documents, tmp_path_factory.mktemp("store") / "passages.arrow")
    return hold_out(store, queries=12, seed=0)


def names(held_out: HeldOut, of: str) -> set[str]:
    return set(getattr(held_out, of).queries)


def test_where_a_checkpoint_is_chosen_other_queries_judge(held_out: HeldOut) -> None:
    roles = ProbeRoles(SCRATCH, held_out)
    assert not roles.judged_by_all
    assert set(roles.watching.queries) == set(roles.choosing.queries) == names(held_out, "dev")
    assert set(roles.judging.queries) == names(held_out, "test")
    assert not names(held_out, "dev") & names(held_out, "test")
    assert not any("chosen on these queries too" in note for note in roles.judging.notes)


@pytest.mark.parametrize(
    ("config", "chosen"),
    [
        (ADAPTED, ("the share of the training that is kept", "the weight of the query expansion")),
        (replace(ADAPTED, keep="last"), ("the weight of the query expansion",)),
        (PRETRAINED, ()),
    ],
)
def test_where_none_is_all_choose_and_judge_and_it_is_said(
    config: RunConfig, chosen: tuple[str, ...], held_out: HeldOut
) -> None:
    roles = ProbeRoles(config, held_out)
    assert roles.judged_by_all
    assert set(roles.watching.queries) == names(held_out, "dev")
    assert set(roles.choosing.queries) == set(roles.judging.queries) == names(held_out, "whole")
    said = f"{', '.join((*chosen, 'the weights of the hybrids'))}: chosen on these queries too"
    assert roles.judging.notes == (*roles.choosing.notes, said)


def test_words_are_dropped_of_what_is_asked_for_alone(held_out: HeldOut) -> None:
    with mock.patch.object(probe_roles, "drop_shared_words", wraps=drop_shared_words) as dropped:
        roles = ProbeRoles(PRETRAINED, held_out)
        assert len(roles.watching.documents) <= PRETRAINED.probe.training_documents
        assert [call.args[0] for call in dropped.call_args_list] == [held_out.dev]
        assert roles.judging.queries == roles.choosing.queries
        assert [call.args[0] for call in dropped.call_args_list] == [held_out.dev, held_out.whole]
