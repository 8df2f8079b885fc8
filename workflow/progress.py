"""What Snakemake says while it works: bars on a terminal, elsewhere a line for each job that ends.

Snakemake's own account, which lists the files of every job, is in its log below .snakemake/log, and on the screen with
``--verbose``. A logger that somebody asked for by ``--logger`` is left alone.

Snakemake finds logger plugins among installed packages alone, and a profile that names one is refused where it is not
installed; so what speaks here takes the place of the handler that Snakemake has put up, once the rules are read.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onebasin.experiments import rooms

LINES_OF_A_LOG = 20

# What Snakemake says at every run, whatever the study.
_ALWAYS_SAID = (
    "Assuming unrestricted shared filesystem",
    "Building DAG of jobs",
    "Conda environments: ignored",
    "Restored previous version of",
    "Select jobs to execute",
    "Shutting down, this might take",
    "Some jobs were triggered by provenance",
    "Exiting because a job execution failed",
    "This was a dry-run",
    "Using shell:",
    "host:",
)
# Events that those who look at a run do without; jobs are said when they end.
_UNSAID = ("workflow_started", "resources_info", "job_started", "shellcmd", "group_info", "progress")
# Reasons to run a job that go on with names of files.
_WITH_FILES = ("Missing output files", "Input files updated by another job", "Updated input files", "Incomplete output")
# The targets of which nothing but their own output is of interest.
_SILENT = {"cost"}

INTERRUPTED = "interrupted; the same command goes on"


def install(manager: Any) -> None:
    """Speak in the place of Snakemake's own handler.

    Args:
        manager: of Snakemake's loggers.
    """
    settings = manager.settings
    if settings.verbose or settings.debug_dag or settings.skip_plugin_handlers or manager.plugin_handlers:
        return
    for handler in list(manager.logger.handlers):
        if handler.name == "DefaultStreamHandler":
            bars = None if settings.dryrun or settings.quiet else _bars(settings)
            manager.logger.removeHandler(handler)
            manager.logger.addHandler(Progress(bars or handler, bars is not None, settings.dryrun, handler.filters))


def _bars(settings: Any) -> Any:
    """Return a handler that draws bars, where there are a terminal and the package that draws them."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    try:
        from snakemake_logger_plugin_rich import LogHandler
    except ImportError:
        return None
    return LogHandler(settings, None)


class Progress(logging.Handler):
    """Says what Snakemake does in few lines.

    Args:
        speaker: the handler that writes them.
        draws: whether it draws jobs by itself, as bars.
        dryrun: whether jobs are only planned.
        filters: of what is said.
    """

    def __init__(self, speaker: Any, draws: bool, dryrun: bool, filters: list[Any]) -> None:
        super().__init__()
        self.speaker, self.draws, self.dryrun = speaker, draws, dryrun
        self.allowed = list(filters)
        self.jobs: dict[int, dict[str, Any]] = {}
        self.total = self.ended = 0
        self.interrupted = self.silent = False

    def emit(self, record: logging.LogRecord) -> None:
        """Say what is to be said of an event."""
        try:
            event = getattr(record, "event", None)
            if event == "job_info":
                self.jobs[record.jobid] = {**vars(record), "began": time.monotonic()}  # type: ignore[attr-defined]
            if event == "run_info":
                stats = record.stats  # type: ignore[attr-defined]
                self.total, self.silent = stats["total"], set(stats) - {"total"} <= _SILENT
            if all(allowed.filter(record) for allowed in self.allowed):
                for said in self._words(record, event):
                    self.speaker.handle(said)
                    self._make_room()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the handler that writes."""
        self.speaker.close()
        super().close()

    def _words(self, record: logging.LogRecord, event: str | None) -> Iterator[logging.LogRecord]:
        """Yield what is said of an event: itself, other words in its place, or nothing."""
        if event == "error":
            yield from self._error(record)
        elif event in ("job_error", "group_error"):
            # A terminal interrupts jobs too, which may end before Snakemake says so.
            if not self.interrupted and not _was_interrupted(vars(record)):
                yield _plain(self._failed(vars(record)), logging.ERROR)
                if self.draws and event == "job_error":
                    self._mark(record)
        elif event is None:
            yield from self._message(record)
        elif event not in _UNSAID and not (self.silent and not self.dryrun):
            yield from [record] if self.draws else self._line(record, event)

    def _message(self, record: logging.LogRecord) -> Iterator[logging.LogRecord]:
        message = record.getMessage()
        if message.startswith("Terminating processes on user request"):
            self.interrupted = True
            _interrupt_jobs()
            yield _plain("interrupted; jobs are being ended")
        elif message.startswith(("Complete log", "Elapsed time")):
            if not self.silent and not self.interrupted:
                yield record
        elif not message.startswith(_ALWAYS_SAID) or (self.draws and message.startswith("Building DAG")):
            yield record

    def _error(self, record: logging.LogRecord) -> Iterator[logging.LogRecord]:
        message, kind = record.getMessage(), getattr(record, "exception", "")
        if kind == "LockException":
            yield _plain(
                f"{os.getcwd()} is locked: another run that makes the same files may be alive; wait for it. If none "
                "is, on no machine, a run was killed: snakemake --unlock, then the same command again",
                logging.ERROR,
            )
        elif kind == "MissingRuleException" and (found := re.search(r"No rule to produce (\S+)", message)):
            yield _plain(_unknown(found[1]), logging.ERROR)
        elif kind == "KeyboardInterrupt" or (self.interrupted and "At least one job did not complete" in message):
            yield _plain(INTERRUPTED, logging.ERROR)
        elif "At least one job did not complete" in message:
            yield _plain("At least one job failed; once mended, the same command goes on", logging.ERROR)
        elif not (self.interrupted or (kind == "RuleException" and "CalledProcessError" in message)):
            # What a script that failed has to say is in the log of its job.
            yield record

    def _line(self, record: logging.LogRecord, event: str) -> Iterator[logging.LogRecord]:
        details = vars(record)
        if event == "job_info":
            if self.dryrun:
                yield _plain(f"{_name(details)}: {_reason(details['reason'])}")
        elif event == "job_finished":
            # Snakemake's own count takes in what --until leaves out.
            job, self.ended = self.jobs[details["job_id"]], self.ended + 1
            seconds, left = time.monotonic() - job["began"], self.total - self.ended
            yield _plain(f"{self.ended} of {self.total}: {_name(job)}, {seconds:.1f} s, {left} left")
        elif event == "run_info" and not self.dryrun:
            yield _plain(f"{self.total} jobs to do")
        else:
            yield record

    def _failed(self, details: Mapping[str, Any]) -> str:
        """Say which job failed, and what the ends of its logs say."""
        jobs = details.get("job_error_info") or [details]
        names = [_name(self.jobs.get(job["jobid"], {"wildcards": {}, **job})) for job in jobs]
        logs = [*(details.get("aux_logs") or ()), *(path for job in jobs for path in job["log"] or ())]
        message = [details["rule_msg"]] if details.get("rule_msg") else []
        return "\n".join([f"failed: {'; '.join(names)}", *message, *(line for log in logs for line in _end_of(log))])

    def _mark(self, record: logging.LogRecord) -> None:
        self.speaker.event_handler.progress_display.mark_rule_failed(vars(record)["rule_name"])

    def _make_room(self) -> None:
        """Take the bars of finished rules away where not all fit on the screen."""
        if not self.draws:
            return
        drawn = self.speaker.event_handler
        if len(drawn.rule_counts) + 4 > self.speaker.console.size.height:
            for rule, counts in drawn.rule_counts.items():
                if counts["completed"] >= counts["total"]:
                    drawn.progress_display.set_visible(rule, False)


def _unknown(target: str) -> str:
    """Say that a target is unknown, and what it is close to."""
    near = difflib.get_close_matches(target, rooms(), 1)
    return f"{target} is no experiment and no file of the study" + (f"; did you mean {near[0]}?" if near else "")


def _interrupt_jobs() -> None:
    """Pass an interruption on to the jobs: a terminal sends it to them too, `kill -INT` to Snakemake alone."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)


def _plain(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelno": level, "levelname": logging.getLevelName(level)})


def _name(job: Mapping[str, Any]) -> str:
    """Return the rule of a job and its wildcards."""
    return ", ".join([job["rule_name"], *(f"{name}={value}" for name, value in (job["wildcards"] or {}).items())])


def _reason(reason: str) -> str:
    """Return why a job runs, without its files."""
    parts = reason.removeprefix("Params have changed since last execution: ").split("; ")
    return "; ".join(next((start for start in _WITH_FILES if part.startswith(start)), part) for part in parts)


def _was_interrupted(details: Mapping[str, Any]) -> bool:
    """Say whether a log of a job that failed ends as that of one that was interrupted."""
    jobs = details.get("job_error_info") or [details]
    return any(_end_of(log)[-1].endswith(" interrupted") for job in jobs for log in job["log"] or ())


def _end_of(log: str) -> list[str]:
    """Return the last lines of a log, below its path."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = deque((line.rstrip("\n") for line in file), maxlen=LINES_OF_A_LOG)
    except OSError:
        return [f"there is no log {Path(log)}"]
    return [f"the end of its log {Path(log)}:", *lines]
