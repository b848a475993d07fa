"""The run folder of `reknit vocabulary`."""

from __future__ import annotations

from reknit.errors import ReknitError
from reknit.jobs.files import read_json, write_json
from reknit.runs.config import to_json
from reknit.runs.run_folder import RunFolder
from reknit.vocabulary.config import VocabularyConfig


class VocabularyFolder(RunFolder):
    """model/, result.json, report.html and what they were made of; no index."""

    kind = "vocabulary run"

    def take(self, config: VocabularyConfig, *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready, or raise ReknitError when it is not free for what is asked.

        A resume is of the same settings: everything that is not trained is made again, and must be made alike.
        """
        stored = read_json(self.config) if self.is_taken() else {"vocabulary": {}}
        if "vocabulary" not in stored:
            raise ReknitError(f"{self.path} holds a run of another kind: give a new folder with --out")
        self.check(resume=resume, overwrite=overwrite)
        wanted = to_json(config)
        if resume and stored["vocabulary"] != wanted:
            changed = sorted(name for name in wanted if stored["vocabulary"].get(name) != wanted[name])
            raise ReknitError(
                f"{self.path} was started with another {', '.join(changed) or 'setting'}: repeat its command with "
                "--resume, or start again with --overwrite"
            )
        self.make(overwrite=overwrite)
        write_json(self.config, {"vocabulary": wanted})
