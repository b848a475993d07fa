"""`reknit explain`: what a model keys on in a corpus, as features with words and passages, and a verdict on them."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from reknit.errors import ReknitError
from reknit.explanation.config import DEFAULT_METHOD, ExplainConfig, ExplanationFolder, configured
from reknit.explanation.excerpts import features_found
from reknit.explanation.hit import explain_hit
from reknit.explanation.material import Material
from reknit.explanation.page import write_page
from reknit.explanation.result import DescriptionScore, ExplainResult, Measured
from reknit.explanation.verdict import judge
from reknit.interpretability.activation_store import check_layer
from reknit.interpretability.contributions import changeable
from reknit.interpretability.descriptions import Descriptions, Readings, describe, read_features
from reknit.interpretability.feature_model import FeatureModel
from reknit.interpretability.features_folder import SavedFeatures
from reknit.interpretability.lexicon import Lexicon
from reknit.interpretability.quality import mean_input, measure, untrained
from reknit.interpretability.training import train_features
from reknit.jobs.files import write_json
from reknit.jobs.interrupt import Interrupted, StopRequest, listen_for_stop
from reknit.jobs.machine import machine, versions
from reknit.jobs.precision import best_device
from reknit.jobs.progress import Progress
from reknit.models.loading import load_embedding_model
from reknit.runs.config import to_json
from reknit.runs.corpus import check_corpus_path


def explain(
    model: str | Path,
    corpus: str | Path,
    out: str | Path,
    *,
    method: str = DEFAULT_METHOD,
    query: str | None = None,
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> ExplainResult:
    """Train features on the token states of a model, describe and test them, and return what result.json in `out`
    holds.

    model: a model or run folder, or hub id. corpus: texts as `adapt` reads them. method: a feature model of the
    catalogue. query: explain too why its first hit is found. settings: `a.b=c` changes to `ExplainConfig`. resume: go
    on with what `out` holds; with another query, features are not trained again. Raises ReknitError on bad input, and
    Interrupted after Ctrl-C with everything saved.
    """
    config = configured(str(model), str(corpus), method, settings)
    if query is not None and not query.strip():
        raise ReknitError("the query is empty: give words to look for with --query")
    check_corpus_path(config.corpus, Path(out))
    loaded = load_embedding_model(config.model)
    loaded.encoder.to(best_device())
    layer = loaded.encoder.depth // 2 if config.layer is None else config.layer
    check_layer(loaded, layer)
    if query is not None:
        changeable(loaded, layer)  # an error now, not after the training
    folder = ExplanationFolder(out)
    folder.take(config, resume=resume, overwrite=overwrite)
    try:
        with listen_for_stop() as stop:
            with folder.preparing(resume=resume):
                material = Material.prepare(config, loaded, layer, folder, stop)
            result = _explained(material, folder, query, _command(config, out, query, settings), stop)
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None
    write_page(folder.report, result)
    write_json(folder.result, result.to_json())
    shutil.rmtree(folder.data)
    return result


def _explained(
    material: Material, folder: ExplanationFolder, query: str | None, command: str, stop: StopRequest
) -> ExplainResult:
    """Train, describe, test and judge."""
    config, store = material.config, material.store
    features = _features(material, folder, stop)
    mean = mean_input(store, material.seen_states)
    lexicon = Lexicon(material.model.tokenizer, store.tokens, material.seen)
    control = untrained(config.part, mean, config.seed + 1).to(features.decoder.device)
    readings, described, trained = _described(material, features, mean, lexicon, stop)
    _, of_random, random = _described(material, control, mean, lexicon, stop)
    return ExplainResult(
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        config=to_json(config),
        model=material.model.name,
        layer=material.layer,
        sample=material.facts(),
        trained=trained,
        control=random,
        verdict=judge(trained, random, described.auroc[described.tested], of_random.auroc[of_random.tested]),
        features=features_found(material, features, readings, described),
        hit=None if query is None else explain_hit(material, features, lexicon, described, query),
        machine=machine(),
        versions=versions(),
    )


def _features(material: Material, folder: ExplanationFolder, stop: StopRequest) -> FeatureModel:
    """The trained features: of the folder, or trained now and put there."""
    config = material.config
    if folder.features.is_dir():
        return SavedFeatures.load(folder.features).model.to(best_device())
    with Progress() as progress:
        progress.start("train features", config.training_states, "states")
        model = train_features(
            config.part,
            material.store,
            folder.data / "training",
            rows=material.seen_states,
            states=config.training_states,
            seed=config.seed,
            stop=stop,
            on_progress=progress.update,
        )
    SavedFeatures(model, config.method, config.part, material.layer, material.model.name).save(folder.features)
    return model


def _described(
    material: Material, features: FeatureModel, mean: Tensor, lexicon: Lexicon, stop: StopRequest
) -> tuple[Readings, Descriptions, Measured]:
    """What the features fire on, what they are called, and how well that and the reconstruction do on unseen
    passages."""
    if stop.asked:
        raise Interrupted("stopped before the features were described")
    readings = read_features(features, material.store, lexicon, material.seen)
    described = describe(readings, lexicon, material.config.words)
    tested = described.tested
    mean_auroc = float(described.auroc[tested].mean()) if len(tested) else None
    score = DescriptionScore(int(described.live.sum()), len(tested), mean_auroc)
    quality = measure(features, material.store, material.seen_states, material.store.num_states, mean)
    return readings, described, Measured(quality, score)


def _command(config: ExplainConfig, out: str | Path, query: str | None, settings: Sequence[str]) -> str:
    words = ["reknit", "explain", config.model, "--corpus", config.corpus, "--out", str(out)]
    words += [] if config.method == DEFAULT_METHOD else ["--method", config.method]
    words += [] if query is None else ["--query", query]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])
