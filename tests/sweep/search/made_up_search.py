"""A search without processes: a storage in memory that can be killed, jobs that are a formula."""

import json
import math

from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.storages.journal import BaseJournalBackend, JournalStorage
from optuna.trial import TrialState

from trainer.sweep.job import FAILED, FINISHED, PRUNED, Job, Outcome
from trainer.sweep.search import source as source_module
from trainer.sweep.search.pruners import make_pruner
from trainer.sweep.search.samplers import SAMPLERS
from trainer.sweep.search.source import TrialSource
from trainer.sweep.search.space import read_space
from trainer.sweep.search.storage import hush, open_study
from trainer.sweep.search.trials import Trials
from trainer.sweep.search.workers import Worker

NUM_EVALUATIONS = 4
RANGES = {"lr": "tag(log, interval(1e-4, 1))", "size": "int(interval(1, 64))"}


class Killed(BaseException):
    """Raised where a SIGKILL would end the process."""


class Journal(BaseJournalBackend):
    """The lines of a journal file; `kill_at` operations are written, and the next one kills."""

    def __init__(self):
        self.lines, self.kill_at = [], math.inf

    def read_logs(self, log_number_from):
        return [json.loads(line) for line in self.lines[log_number_from:]]

    def append_logs(self, logs):
        if len(self.lines) + len(logs) > self.kill_at:
            self.kill_at = math.inf
            raise Killed
        self.lines += [json.dumps(log) for log in logs]


class Planner:
    """Makes jobs of words as they are."""

    def __init__(self, folder):
        self.folder = folder

    def job(self, words, number, name=None):
        config = {"duration": f"{NUM_EVALUATIONS}ep", "data": {"batch_size": 8}}
        return Job(name, name, words, self.folder / name, self.folder / f"{name}.log", config)


class Run:
    """What the pool sees of a run folder."""

    def __init__(self):
        self.evaluations = []

    @property
    def share_done(self):
        return len(self.evaluations) / NUM_EVALUATIONS


class Living:
    """Workers whose names are in `names` live."""

    def __init__(self, *names):
        self.names = set(names)

    def is_alive(self, name, beats):
        return name in self.names


def accuracy(words, evaluation=NUM_EVALUATIONS):
    values = dict(word.split("=") for word in words)
    off = abs(math.log10(float(values["lr"])) + 2) + abs(int(values.get("size", 8)) - 32) / 64
    return evaluation / NUM_EVALUATIONS / (1 + off)


class Search:
    """One process of a search; another one on the same journal is the next command, or a second."""

    def __init__(
        self,
        journal,
        folder,
        name,
        living=(),
        sampler="random",
        pruner="none",
        num_trials=6,
        params=RANGES,
        when=None,
        objectives=("val/accuracy",),
    ):
        hush()
        storage = journal if hasattr(journal, "get_trial") else JournalStorage(journal)
        self.storage = storage
        study = open_study(storage, "made_up", dict.fromkeys(objectives, "max"))
        self.study_id = study
        space, fixed = read_space(OverridesParser.create(), params, when, ["model=mlp"])
        beat = Worker(lambda key, beats: storage.set_study_user_attr(study, key, beats), name)
        self.trials = Trials(
            storage=storage,
            study_id=study,
            space=space,
            make_sampler=SAMPLERS[sampler],
            pruner=make_pruner(pruner, 1),
            num_trials=num_trials,
            seed=0,
            worker=beat,
            liveness=Living(*living),
        )
        self.source = TrialSource(
            self.trials, Planner(folder), fixed, dict.fromkeys(objectives, "max")
        )

    def work(self, num_jobs=math.inf, fails=()):
        """Run jobs one after the other; return their names."""
        done = []
        while len(done) < num_jobs and (job := self.source.next()):
            self.train(job, FAILED if job.name in fails else FINISHED)
            done.append(job.name)
        return done

    def train(self, job, ends=FINISHED):
        run = Run()
        for evaluation in range(1, NUM_EVALUATIONS + 1):
            run.evaluations.append({"val/accuracy": accuracy(job.words[1:], evaluation)})
            if not self.source.is_worth_going_on(job, run):
                ends = PRUNED
                break
        self.source.ended(job, Outcome(ends, "it broke" if ends == FAILED else ""), run)

    def facts(self):
        """What of the study does not depend on when and by whom it was done."""
        return [
            (t.number, t.state.name, t.params, t.values, t.intermediate_values)
            for t in self.storage.get_all_trials(self.study_id)
            if "surplus" not in t.user_attrs
        ]

    def states(self):
        return [state for _, state, *_ in self.facts()]


def formula_for_values(monkeypatch):
    """Have the values of jobs come from their words, for want of run folders."""
    words = {}
    job_of = Planner.job

    def noting(self, own, number, name=None):
        job = job_of(self, own, number, name)
        words[job.run_dir] = job.words[1:]
        return job

    def values_of(run_dir, metrics):
        found = [accuracy(words[run_dir]) if m == "val/accuracy" else 1.0 for m in metrics]
        return found, ""

    monkeypatch.setattr(Planner, "job", noting)
    monkeypatch.setattr(source_module, "values_of", values_of)


RUNNING, COMPLETE, FAIL = (TrialState[name].name for name in ("RUNNING", "COMPLETE", "FAIL"))
