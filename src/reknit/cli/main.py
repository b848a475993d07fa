"""The command line: fixed verbs; `--set a.b=c` reaches every field, and no flag is ever added for one recipe."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time

import typer

from reknit.cli import catalogue, corpora, explaining, measuring, models, runs, tuning, vocabulary
from reknit.errors import ReknitError
from reknit.jobs.interrupt import EndedElsewhere, Interrupted

app = typer.Typer(
    help="Train, adapt, measure and search text encoders, without labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for verb in (
    runs.adapt,
    runs.pretrain,
    vocabulary.vocabulary,
    tuning.tune,
    models.evaluate,
    measuring.frontier,
    models.search,
    explaining.explain,
    models.export,
    corpora.encode,
    corpora.curate,
    catalogue.recipes,
    catalogue.settings,
    measuring.bench,
    catalogue.compare,
    catalogue.claim,
    measuring.compare_adapt,
):
    app.command()(verb)

_HEAD_START = 5.0
"""Seconds that a process, which another one's error has ended, leaves that one to end first."""


def main() -> None:
    """Run the command line. Bad input exits with 2 and one line, Ctrl-C with 130."""
    # Set before any import of a Hugging Face library: their own bars and advice would drown ours.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if "WORLD_SIZE" in os.environ:
        # Under torchrun, every process would say that DDP looked for unused weights and found none.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logger = logging.getLogger("reknit")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler(sys.stderr))
    # A full disk must not fill the terminal with complaints about train.log: the run says it once.
    logging.raiseExceptions = False
    sys.exit(_run())


def _run() -> int:
    try:
        code = app(standalone_mode=False)
    except ReknitError as error:
        return _end(f"{error}", 2)
    except typer.TyperException as error:
        return _end(f"{' '.join(error.format_message().split()).rstrip('.')}; see reknit COMMAND --help", 2)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _end(f"{place}{error.strerror or error}; check the path, its permissions and the space left", 2)
    except Interrupted as stop:
        asked = [word for word in sys.argv[1:] if word not in ("--resume", "--overwrite")]
        resume = [] if asked[:1] == ["claim"] else ["--resume"]  # a claim resumes what it finds
        return _end(f"{stop}; what was finished is saved. Go on with: {shlex.join(['reknit', *asked, *resume])}", 130)
    except EndedElsewhere as end:
        if isinstance(end.__cause__, Interrupted):
            return 130
        # torchrun reports the first process that it sees ending: let that be the one that knows the reason.
        time.sleep(_HEAD_START)
        return 2
    except KeyboardInterrupt:
        return _end("stopped", 130)
    # Typer catches Ctrl-C itself and returns 130; a command returns None.
    return _end("stopped", 130) if code == 130 else int(code or 0)


def _end(line: str, code: int) -> int:
    print(f"reknit: {' '.join(line.splitlines())}", file=sys.stderr)
    return code
