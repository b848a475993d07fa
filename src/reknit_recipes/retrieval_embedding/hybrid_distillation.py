"""The start model learns to rank the corpus as BM25 and itself do together."""

from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.ranking_distillation import RankingDistillationSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.sources.queries import QuerySpec

RECIPE = Recipe(
    card=Card(
        name="hybrid-distillation",
        title="Distilling the hybrid of BM25 and the start model into the start model",
        year=2026,
        family="retrieval-embedding",
        capability="search",
        paper="reknit's own, from known parts: ListNet's loss (Cao et al. 2007, "
        "https://dl.acm.org/doi/10.1145/1273496.1273513); with tune.data.teacher.neighbours, scores regularised over "
        "them (Diaz 2007, https://doi.org/10.1007/s10791-007-9034-8) and documents expanded by them (Tao et al. 2006, "
        "https://aclanthology.org/N06-1052)",
        adds="A search model is distilled from its own hybrid with BM25, from documents alone.",
        facts=(
            "Pseudo-queries are titles and sentences. Each ranks up to 20,000 passages by standard scores of BM25's "
            "square root and of the start model, weighted by queries cut out of their passages. The student ranks the "
            "start model's vectors of the same passages; a query's own passage is left out on both sides. Trials: "
            "docs/adaptation.md."
        ),
        claim="Adapted by it, a strong small model searches the same corpus better than before, without labels.",
        citation="@inproceedings{cao2007learning, title={Learning to Rank: From Pairwise Approach to Listwise "
        "Approach}, author={Cao, Zhe and Qin, Tao and Liu, Tie-Yan and Tsai, Ming-Feng and Li, Hang}, "
        "booktitle={ICML}, year={2007}}",
    ),
    objective=RankingDistillationSpec(temperature=0.05),
    data=QuerySpec(pairs_per_batch=64, query_max_length=48),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999, adam_epsilon=1e-8),
)
