"""Starbucks' pre-training (SMAE): masked language modelling and a masked auto-encoder at every size of a fixed list."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.elastic_autoencoder import ElasticAutoencoderSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.retromae import RECIPE as RETROMAE
from reknit_recipes.retrieval_embedding.starbucks import RECIPE as STARBUCKS

RECIPE = replace(
    RETROMAE,
    card=replace(
        STARBUCKS.card,
        name="smae",
        system="starbucks",
        adds="Masked language modelling and a RetroMAE-like auto-encoder from every size of the model, small to full, "
        "through one head whose first columns read a cut state.",
        facts=(
            "Read in the authors' code (smae/modelling.py, data.py, pretrain_bert.py and README): sizes (2, 32), (4, "
            "64), (6, 128), (8, 256), (10, 512), (12, 768); whole words, 20% masked for the encoder and 40% for the "
            "decoder, among them the encoder's, each 80/10/10; the dense weight of BERT's head cut to its first "
            "columns; a plain BERT layer over the embeddings of the decoder's text, [CLS] of the size, through dense "
            "layer, activation and norm of that head, in place of the first one; only masked tokens are predicted; "
            "one head and one decoder for all sizes; mean of both losses, mean over the sizes; rate 1e-4, cosine, "
            "warm-up 5%, weight decay 0.001, batches of 512 texts of up to 512 tokens, one epoch of FineWeb's "
            "100-billion-token sample, from BERT-base."
        ),
        claim="Starbucks' fine-tuning reaches more at every size after SMAE than after BERT's pre-training alone.",
        deviates=(
            "The bottleneck is the vector that is exported: [CLS] as published, but the mean for a start model that "
            "pools the mean.",
            "The decoder has position embeddings and a norm of its own and begins with random weights, and so does the "
            "head; the authors take the encoder's embeddings, BERT's first layer and BERT's head.",
            "Shares are of the ordinary tokens, not of all. Dimensions halve from size to size, also in the first "
            "step from the full model (the paper: 768 to 512).",
            "The decoder fills three eighths of its gaps a step (15% of the text, as `retromae` here), sampled again "
            "each time: an unbiased estimate of the same loss for less vocabulary work. As published: "
            "objective.decoded_share=1.",
            "Passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
    ),
    objective=ElasticAutoencoderSpec(decoded_share=0.375),
    optimiser=replace(RETROMAE.optimiser, weight_decay=0.001, warmup_ratio=0.05, lr_scheduler_type="cosine"),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"),
            settings=("encoder.pooling=cls", "tuning=starbucks", "sizes=1x32,2x64"),
        ),
        better=(Pair("smae", "mlm"),),
        measures="part",
        needs="The paper starts from BERT-base and has more text; here both arms start from scratch, and at equal "
        "budget SMAE, which costs more a token, reads less. Its tuning has labelled pairs.",
    ),
)
