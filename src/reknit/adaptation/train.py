"""Trains a copy of the start model; chooses without labels how much of that is kept, and the query expansion."""

from __future__ import annotations

import copy
from dataclasses import replace

from reknit.adaptation.candidate import ADAPTED, Candidate
from reknit.adaptation.expansion import make_expansion
from reknit.adaptation.probe_roles import ProbeRoles
from reknit.adaptation.weight_interpolation import interpolate_weights
from reknit.data.text.corpus import Corpus
from reknit.evaluation.probe import retrieval_probe
from reknit.jobs.interrupt import Interrupted, listen_for_stop
from reknit.jobs.typed_json import from_plain
from reknit.models.encode_texts import cached, encoder_function
from reknit.runs.config import RunConfig
from reknit.runs.phases import train_phases
from reknit.runs.result import Training
from reknit.runs.run_folder import RunFolder
from reknit.training.team import Team


def train(
    config: RunConfig, folder: RunFolder, corpus: Corpus, start: Candidate, roles: ProbeRoles, team: Team
) -> tuple[Candidate, Training]:
    """The adapted model, and what training it took. `start` stays as it is; the other processes of `team` are done.

    Raises Interrupted after Ctrl-C, with everything saved for a resume.
    """
    model = copy.deepcopy(start.trainable)
    model.expansion = None  # of the corpus that the start model was adapted to before, if it was
    encode = encoder_function(model, config.precision)
    watched = retrieval_probe(roles.watching, encode)
    # In the middle of a step a stop would lose the step; before and after training Ctrl-C ends the run at once.
    with listen_for_stop() as stop:
        spent = train_phases(config, folder, corpus, model, watched, stop, team)
    team.leave()
    if stop.asked:
        raise Interrupted("stopped after training")
    training: Training = from_plain(Training, spent, "training")
    adapted = Candidate(ADAPTED, model, encode)
    if config.keep == "best" and roles.judged_by_all:
        kept, adapted = interpolate_weights(start, adapted, roles.choosing, config.expansion)
        training = replace(training, kept_share=kept)
    else:
        adapted = replace(adapted, encode=cached(encode))
    if config.expansion.wanted:
        expansion = make_expansion(corpus, ADAPTED, adapted.encode, config.expansion, roles.choosing, config.seed)
        adapted = replace(adapted, expansion=expansion)
    return adapted, training
