"""What a run says: bars on a terminal, elsewhere a line for each job."""

import fcntl
import os
import pty
import re
import struct
import termios

STUDY = {
    "study": "tiny",
    "seeds": [0, 1],
    "models": [{"name": "mlp", "family": "mlp", "widths": [4, 8], "hidden": [1]}],
    "training": {"epochs": 30},
    "frames": [],
    "experiments": ["pairs"],
}
TRAIN = ("--until", "train")


def on_a_terminal(workplace, *arguments):
    """Run Snakemake on a terminal; return its status and all that was written there."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(workplace.folder)
        os.environ["TERM"] = "xterm"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        command = workplace.command(*arguments)
        os.execv(command[0], command)
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        written += part
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def test_without_a_terminal_each_job_is_a_line_and_files_are_listed_only_with_verbose(workplace):
    configfile = workplace.configure(STUDY)
    output = workplace.snakemake(*TRAIN, *configfile)
    lines = re.findall(r"^(\d+) of (\d+): (.+), \d+\.\d s, (\d+) left$", output, re.M)
    assert [line[0] for line in lines] == ["1", "2", "3"] and {line[1] for line in lines} == {"3"}
    assert [line[3] for line in lines] == ["2", "1", "0"]
    assert lines[0][2] == "data" and {line[2] for line in lines[1:]} == {
        f"train, model=mlp, width={width}" for width in (4, 8)
    }
    assert "safetensors" not in output
    assert "safetensors" not in workplace.snakemake("--dry-run", *configfile)
    assert "output: results/tiny/data.safetensors" in workplace.snakemake(
        "--dry-run", "--verbose", "--forcerun", "data", *configfile
    )


def test_a_job_that_fails_says_where_and_why_and_nothing_else(workplace):
    log = "results/tiny/logs/train/mlp/width4/all.log"
    config = {**STUDY, "models": [{**STUDY["models"][0], "widths": [4]}], "training": {"epochs": 30, "lr": 1e30}}
    output = workplace.snakemake(*TRAIN, *workplace.configure(config), fails=True)
    said = output[output.index("failed:") :].splitlines()
    assert said[:2] == ["failed: train, model=mlp, width=4", f"the end of its log {log}:"]
    assert any(line.startswith("error: the loss is nan") for line in said)
    assert said[-1] == "At least one job failed; once mended, the same command goes on"
    assert len(said) < 30 and "safetensors" not in output


def test_a_terminal_shows_bars_and_the_failed_job(workplace):
    status, output = on_a_terminal(workplace, *TRAIN, *workplace.configure(STUDY))
    assert status == 0, output
    assert re.search(r"train +━+ 100%", output) and re.search(r"Total Progress ━+ +100%", output)
    assert "safetensors" not in output
    bad = {**STUDY, "training": {"epochs": 3, "lr": 1e30}}
    status, output = on_a_terminal(workplace, *TRAIN, *workplace.configure(bad))
    assert status == 1 and "failed: train, model=mlp, width=" in output and "error: the loss is nan" in output
    assert "once mended, the same command goes on" in output
