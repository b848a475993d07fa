"""SimMIM: large squares of a picture are masked, and a linear head predicts their pixels."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.picture_spec import PictureEncoderSpec
from reknit.objectives.masked_pictures import MaskedPicturesSpec
from reknit.recipe import BudgetSpec, Card, OptimiserSpec, Recipe
from reknit.research.photos.experiment import ACCURACY, SCRATCH, PhotoExperiment
from reknit.sources.pictures import PictureSpec

RECIPE = Recipe(
    card=Card(
        name="simmim",
        title="SimMIM: A Simple Framework for Masked Image Modeling",
        year=2021,
        family="masked-vision",
        capability="images",
        paper="https://arxiv.org/abs/2111.09886",
        adds="A learned vector in the place of masked patches, which the encoder processes with all others, and a "
        "linear head that predicts their pixels.",
        facts="Read: the authors' code (microsoft/SimMIM at d3e29bc) and the abstract. Squares of 32 pixels, of which "
        "ceil(60%) are masked in each picture, without replacement; the embeddings of masked patches are replaced by "
        "one learned vector, drawn with deviation 0.02, before the opening row and positions are added; all rows enter "
        "the encoder; the head is a 1x1 convolution to the pixels of a patch; mean absolute error on masked pixels, "
        "normalised by ImageNet's mean and deviation; random parts of 67% to 100% of the area, sides 3:4 to 4:3, "
        "mirrored in half of the cases. Not read: the paper's text.",
        claim="Random masking, raw pixels and a linear head suffice for 83.8% with ViT-B on ImageNet, beating complex "
        "designs.",
        citation="@inproceedings{xie2022simmim, title={SimMIM: A Simple Framework for Masked Image Modeling}, "
        "author={Xie, Zhenda and Zhang, Zheng and Cao, Yue and Lin, Yutong and Bao, Jianmin and Yao, Zhuliang and Dai, "
        "Qi and Hu, Han}, booktitle={CVPR}, year={2022}}",
        deviates=(
            "A small ViT of pictures of 64 pixels by default, with squares of 2 x 2 patches of 8 pixels; the authors "
            "have Swin and ViT-B of 192 and 224 pixels, with squares of 32.",
            "Learned absolute positions, as transformers' ViT has them; the authors' ViT has relative position biases "
            "shared by all layers, scales on its residual branches and stochastic depth.",
            "AdamW with beta2 0.95, a cosine schedule and a gradient norm of at most 1; the authors have 0.999, one "
            "step down near the end, and 5.",
            "The loss is the mean over masked numbers, without the authors' small constant in its denominator.",
            "In the claim, all layers are fine-tuned with one learning rate; the authors lower it layer by layer.",
        ),
        status="deviates",
    ),
    objective=MaskedPicturesSpec(),
    data=PictureSpec(),
    encoder=PictureEncoderSpec(),
    optimiser=OptimiserSpec(learning_rate=1e-3, weight_decay=0.05, adam_beta2=0.95, lr_scheduler_type="cosine"),
    budget=BudgetSpec(tokens=20_000_000),
    check=ClaimCheck(
        experiment=PhotoExperiment(),
        better=(Pair("simmim", SCRATCH, ACCURACY),),
        no_worse=(Pair("simmim", "simmim:objective.head_layers=4", ACCURACY, margin=0.01),),
        measures="claim",
        second_arm="masked squares of 4 and 16 pixels",
        needs="ImageNet, ViT-B and hundreds of epochs; the complex designs that the paper compares with.",
    ),
)
