"""Encoders of one language and of several on one suite of tasks: the protocol of the evaluation of Spanish models."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.recipe import Card
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.simcse import RECIPE as SIMCSE

RECIPE = replace(
    SIMCSE,
    card=Card(
        name="spanish-lm-eval",
        title="Lessons learned from the evaluation of Spanish Language Models",
        year=2022,
        family="retrieval-embedding",
        capability="compare",
        paper="https://arxiv.org/abs/2212.08390; Procesamiento del Lenguaje Natural 70 (2023), 157-170",
        adds="A controlled comparison of trained encoders, of one language and of several, on the same tasks: here "
        "`reknit compare`, whose arms may be trained on parts of a corpus (`data.below`) or be models of your own.",
        facts=(
            "Read: the abstract (multilingual models of large companies fare better than monolingual ones; among the "
            "monolingual ones results are not conclusive, supposedly smaller ones compete; size and quality of the "
            "corpus and technique are left to further research), not the tables. From the project's table of systems, "
            "from memory: BETO, BERTIN, MarIA, ELECTRICIDAD and IXABERTes beside mBERT, XLM-R base and large and "
            "mDeBERTa; tagging, names, similarity, MLDoc, PAWS-X and question answering; one grid of settings for all, "
            "several seeds."
        ),
        claim="Multilingual models are often better than monolingual ones; the order of the monolingual ones is not "
        "conclusive, and the size of the corpus alone does not explain it.",
        citation="@article{agerri2023lessons, title={Lessons learned from the evaluation of Spanish Language Models}, "
        "author={Agerri, Rodrigo and Agirre, Eneko}, journal={Procesamiento del Lenguaje Natural}, volume={70}, "
        "pages={157--170}, year={2023}}",
        deviates=(
            "The paper compares published masked language models. The encoders of the check are trained here, by "
            "SimCSE's twins, so that they are measured without a tuning on pairs, which would be of all languages.",
            "Tagging, names and question answering are no tasks of `reknit compare`; fine-tuned classification is.",
        ),
        status="deviates",
    ),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            corpus="retrieval", eval=("sts/stsb_de", "retrieval/xquad_de"), settings=("tuning=none", "corpus_share=1")
        ),
        better=(
            Pair("spanish-lm-eval", "spanish-lm-eval:data.below=xquad_de"),
            Pair("spanish-lm-eval:data.below=xquad_", "spanish-lm-eval:data.below=xquad_de"),
        ),
        measures="proxy",
        needs="Spanish: this is German, of which there are 240 paragraphs, alone, beside the same ones in English, and "
        "beside 24,000 other texts, English and source code, with one tokenizer, mostly English, for all. Corpora of "
        "size; equal tokens of the language besides equal FLOPs; fine-tuning on the paper's tasks (tagging, names, "
        "questions); published models, which `reknit compare` takes; a searched collection that is not trained on (the "
        "German arm reads it most often).",
    ),
)
