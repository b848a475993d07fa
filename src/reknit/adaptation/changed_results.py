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

_QUERIES, _PASSAGES, _SHOWN = 300, 20_000, 10


def changed_searches(
    queries: Sequence[str],
    corpus: Corpus,
    encoders: Mapping[str, EncodeTexts],
    before: SearchSystem,
    now: SearchSystem,
    *,
    shown: bool,
    seed: int,
) -> ChangedSearches:
    """The first results of the first queries by both systems, among as many passages of the corpus as a run samples.

    encoders: of the sides of both. shown: whether some of the queries are kept in the result.
    """
    asked = list(dict.fromkeys(queries))[:_QUERIES]
    numbers = sorted(corpus.drawn(_PASSAGES, seed).tolist())
    documents = {f"{number:012d}": corpus.store[number].full_text for number in numbers}
    names = [str(place) for place in range(len(asked))]
    collection = RetrievalSet("asked", documents, dict(zip(names, asked, strict=True)), {name: {} for name in names})
    wanted = {side for system in (before, now) for side in system.models}
    sides = sides_of(collection, {name: encode for name, encode in encoders.items() if name in wanted})
    first: dict[str, dict[str, int]] = {"before": {}, "now": {}}
    for query, system, places, _ in ranked_places(collection, sides, {"before": before, "now": now}):
        first[system][query] = int(places[0]) if len(places) else -1
    changed = [name for name in names if first["before"][name] != first["now"][name]]

    def title(place: int) -> str:
        passage = corpus.store[numbers[place]] if place >= 0 else None
        return "nothing" if passage is None else passage.title or passage.text[:80]

    examples = tuple(
        ChangedSearch(asked[int(name)], title(first["before"][name]), title(first["now"][name]))
        for name in (changed[:_SHOWN] if shown else ())
    )
    return ChangedSearches(len(asked), len(changed), len(numbers), examples)
