"""What is said of a run, event by event, as Snakemake sends them."""

import logging

import pytest
from snakemake_interface_logger_plugins.tests import MockOutputSettings

from workflow import progress


class Speaker(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


@pytest.fixture
def says():
    """Send an event; get what is said of it."""
    speaker = Speaker()
    handler = progress.Progress(speaker, draws=False, dryrun=False, filters=[])

    def send(event=None, msg="", **details):
        speaker.said.clear()
        handler.emit(logging.makeLogRecord({"msg": msg, "event": event, "levelno": logging.INFO, **details}))
        return list(speaker.said)

    send.handler = handler
    return send


def begins(says, jobid, **wildcards):
    assert says("job_info", jobid=jobid, rule_name="train", wildcards=wildcards, input=["a"], output=["b"]) == []


def test_a_job_is_one_line_when_it_ends(says):
    assert says("run_info", stats={"train": 2, "total": 2}) == ["2 jobs to do"]
    begins(says, 7, model="mlp", width="8")
    begins(says, 3, model="mlp", width="4")
    [line] = says("job_finished", job_id=7)
    assert line.startswith("1 of 2: train, model=mlp, width=8, 0.0 s") and line.endswith(", 1 left")
    assert says("progress", done=1, total=5) == []
    assert says("job_finished", job_id=3) == ["2 of 2: train, model=mlp, width=4, 0.0 s, 0 left"]


def fails(says, log):
    return says("job_error", jobid=7, rule_name="train", rule_msg=None, log=[str(log)])


def test_of_a_job_that_failed_the_end_of_its_log_is_shown(says, tmp_path):
    log = tmp_path / "all.log"
    log.write_text("".join(f"epoch {epoch}\n" for epoch in range(100)) + "error: the loss is nan\n")
    begins(says, 7, width="8")
    [text] = fails(says, log)
    first, where, *lines = text.splitlines()
    assert first == "failed: train, width=8" and str(log) in where
    assert lines == [f"epoch {epoch}" for epoch in range(81, 100)] + ["error: the loss is nan"]
    log.unlink()
    assert f"there is no log {log}" in fails(says, log)[0]


def test_when_interrupted_no_log_is_shown_and_the_last_line_says_how_to_go_on(says, tmp_path):
    begins(says, 7)
    says(msg="Terminating processes on user request, this might take some time.")
    assert fails(says, tmp_path / "all.log") == []
    failed = {"msg": "WorkflowError:\nAt least one job did not complete successfully.", "exception": "WorkflowError"}
    assert says("error", **failed) == [progress.INTERRUPTED]


def test_a_lock_is_one_line_that_advises_to_wait_first(says):
    [line] = says("error", msg="LockException:\nError: Directory cannot be locked.", exception="LockException")
    assert "\n" not in line and line.index("wait") < line.index("--unlock")


def test_other_errors_are_said_as_they_are(says):
    assert says("error", msg="MissingInputException: no x.txt", exception="MissingInputException") == [
        "MissingInputException: no x.txt"
    ]


def test_why_a_job_is_planned_is_said_without_its_files(says):
    says.handler.dryrun = True
    reason = "Missing output files: a.csv, b.csv; Input files updated by another job: c.csv"
    details = {"jobid": 1, "rule_name": "train", "wildcards": {"width": "8"}, "reason": reason}
    assert says("job_info", **details) == ["train, width=8: Missing output files; Input files updated by another job"]
    details["reason"] = "Params have changed since last execution: Settings have changed."
    assert says("job_info", **details) == ["train, width=8: Settings have changed."]


def test_bars_of_finished_rules_make_room_where_the_screen_is_small(monkeypatch):
    rich, console = map(pytest.importorskip, ("snakemake_logger_plugin_rich", "rich.console"))
    speaker = rich.LogHandler(MockOutputSettings(), None)
    handler = progress.Progress(speaker, draws=True, dryrun=False, filters=[])

    def visible(lines):
        monkeypatch.setattr(type(speaker.console), "size", console.ConsoleDimensions(80, lines))
        handler.emit(logging.makeLogRecord({"msg": "a message", "levelno": logging.INFO}))
        return {task.description for task in speaker.progress.tasks if task.visible}

    def send(event, **details):
        handler.emit(logging.makeLogRecord({"msg": "", "event": event, "levelno": logging.INFO, **details}))

    try:
        send("run_info", stats={"data": 1, "train": 1, "total": 2})
        for jobid, rule in enumerate(("data", "train")):
            send("job_info", jobid=jobid, rule_name=rule, wildcards={})
        send("job_finished", job_id=0)
        assert visible(lines=20) == {"Total Progress", "[dim]data[/]", "train"}
        assert visible(lines=5) == {"Total Progress", "train"}
    finally:
        handler.close()
