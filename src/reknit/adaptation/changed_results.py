"""For how many of the users' queries another result comes first than before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.evaluation.retrieval import sides_of
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.rank_systems import ranked_places
from reknit.retrieval.system import SearchSystem
from reknit.runs.result import ChangedSearch, ChangedSearches

_QUERIES, _PASSAGES, _SHOWN = 300, 1000, 10


def changed_searches(
    queries: Sequence[str],
    corpus: Corpus,
    encoders: Mapping[str, EncodeTexts],
    *,
    before: tuple[str, SearchSystem],
    now: tuple[str, SearchSystem],
    passages: int,
    shown: bool,
    seed: int,
) -> ChangedSearches:
    """The first results of the first queries by two systems, each with its name.

    encoders: of the sides of both. passages: of the corpus that are searched, those that have been encoded; at least a
    few. shown: whether some of the queries are kept in the result.
    """
    asked = list(dict.fromkeys(queries))[:_QUERIES]
    numbers = sorted(corpus.drawn(max(passages, _PASSAGES), seed).tolist())
    documents = {f"{number:012d}": corpus.store[number].full_text for number in numbers}
    names = [str(place) for place in range(len(asked))]
    collection = RetrievalSet("asked", documents, dict(zip(names, asked, strict=True)), {name: {} for name in names})
    wanted = {side for _, system in (before, now) for side in system.models}
    sides = sides_of(collection, {name: encode for name, encode in encoders.items() if name in wanted})
    first: dict[str, dict[str, int]] = {"before": {}, "now": {}}
    for query, system, places, _ in ranked_places(collection, sides, {"before": before[1], "now": now[1]}):
        first[system][query] = int(places[0]) if len(places) else -1
    changed = [name for name in names if first["before"][name] != first["now"][name]]

    def title(place: int) -> str:
        passage = corpus.store[numbers[place]] if place >= 0 else None
        return "nothing" if passage is None else passage.title or passage.text[:80]

    examples = tuple(
        ChangedSearch(asked[int(name)], title(first["before"][name]), title(first["now"][name]))
        for name in (changed[:_SHOWN] if shown else ())
    )
    return ChangedSearches(before[0], now[0], len(asked), len(changed), len(numbers), examples)
