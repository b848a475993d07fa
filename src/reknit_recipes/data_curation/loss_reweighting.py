"""Loss-based reweighting: the sequences of a batch weigh by how hard they are now."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.causal_language_model import ReweightedLanguageModelSpec
from reknit_recipes.text_objective.clm import RECIPE as CLM

RECIPE = replace(
    CLM,
    card=replace(
        CLM.card,
        name="loss-reweighting",
        capability="curate",
        system="",
        title="Dynamic Loss-Based Sample Reweighting for Improved Large Language Model Pretraining",
        family="data-curation",
        paper="https://arxiv.org/abs/2502.06733; code: https://github.com/sowmaster/Sample-Level-Loss-Reweighting-ICLR-2025",
        adds="Sequences of a batch are weighted by a softmax over their current losses, so that low losses count less.",
        facts="Read: abstract, summaries, part of the GPT-2 code, its settings, a Llama loop with the same functions: "
        "each sequence's mean loss, mapped by the whole batch's extremes to h in [-1, 1]; LinUpper min(h + 1, 1), "
        "Quadratic 1 - h^2, Extremes |h|; weights softmax(f / r) without gradient; warm-up with r = 100 (Llama) or for "
        "1,000 of 20,000 steps (GPT-2), then r = 1 or 0.4. Not read: the paper's text; r for LinUpper.",
        claim="Weighting low-loss sequences down converges faster and improves downstream results.",
        citation="@inproceedings{sow2025dynamic, title={Dynamic Loss-Based Sample Reweighting for Improved Large "
        "Language Model Pretraining}, author={Sow, Daouda and others}, booktitle={ICLR}, year={2025}}",
        deviates=(
            *CLM.card.deviates[-2:],
            "A BERT-shaped encoder under a causal mask, for a CPU; sequences are passages of any length, not blocks.",
            "The warm-up is 5% of the budget, whatever its steps; it is not combined with weights of domains.",
        ),
    ),
    objective=ReweightedLanguageModelSpec(),
    check=ClaimCheck(
        better=(
            Pair("loss-reweighting", "clm"),
            Pair("loss-reweighting", "loss-reweighting:objective.temperature=100"),
        ),
        measures="proxy",
        needs="A corpus with duplicates and boilerplate, and the loss of held-out text.",
    ),
)
