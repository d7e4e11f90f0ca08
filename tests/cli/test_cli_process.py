"""The program as a process: help, exit status, pipes, Ctrl-C."""

import os
import signal
import stat
import subprocess
import sys

import pytest
from command_line import FAST, process
from systems import posix_only

import fastnn as fn
from fastnn.cli import main


def test_version(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"fastnn {fn.__version__}\n"


def test_info(succeed):
    out = succeed("info")
    info = fn.build_info()
    assert [line.split(":")[0] for line in out.splitlines()] == list(info)
    assert f"version: {info['version']}\n" in out
    assert f"available_isas: {' '.join(info['available_isas'])}\n" in out


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "export", "info"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as info:
        main([command, "--help"])
    assert info.value.code == 0
    assert f"usage: fastnn {command}" in capsys.readouterr().out


def test_process(flowers_csv, folder):
    done = process("train", flowers_csv, "--target", "kind", *FAST, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "model: flowers.safetensors" in done.stdout
    assert done.stderr == ""
    assert stat.S_ISREG((folder / "flowers.safetensors").stat().st_mode)


def test_process_reports_an_error_in_one_line(folder):
    done = process("train", "missing.csv", cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "fastnn: error: missing.csv: No such file or directory\n"


def test_training_does_not_need_matplotlib(folder):
    code = (
        "import sys; from fastnn.cli import main; "
        "sys.exit(main(['train', 'digits', '--epochs', '1']) or 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_pipe_gets_utf_8_on_every_system(folder):
    """Windows and the locale C have another encoding, which lacks these letters."""
    net = fn.Network([fn.Linear(64, 2)], seed=0)
    net.class_labels = ["ä", "ж"]
    net.save("m.safetensors")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "fastnn", "predict", "m.safetensors", "digits"]
    environment = {**os.environ, **locale}
    environment.pop("PYTHONIOENCODING", None)
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.decode("utf-8").split()
    assert header == "prediction,p_ä,p_ж"
    assert {row[0] for row in rows} <= {"ä", "ж"}


@posix_only
def test_reader_that_goes_away(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    fn.Network([fn.Linear(64, 30)], seed=0).save(
        "m.safetensors"
    )  # so many predictions do not fit into the buffer of a pipe
    command = [sys.executable, "-m", "fastnn", "predict", "m.safetensors", "digits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(timeout=60) == 1


@posix_only
def test_reader_that_never_came(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # so that the output is buffered
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastnn", "info"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@posix_only
def test_interrupted_process(folder):
    command = [sys.executable, "-u", "-m", "fastnn", "train", "digits", "--epochs", "1000000"]
    # A background process ignores Ctrl-C, and its children inherit that.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        try:
            for line in running.stdout:
                if line.startswith(b"split"):
                    break
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 130
    assert err.endswith(b"fastnn: interrupted; no model was written\n")
    assert b"Traceback" not in err
    assert os.listdir(folder) == []


@posix_only
def test_pipe_as_destination_is_not_replaced(succeed, flowers_csv, folder):
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        succeed("train", flowers_csv, "--target", "kind", "--output", "pipe", *FAST)
        (folder / "copy.safetensors").write_bytes(os.read(reader, 100_000))
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert fn.load("copy.safetensors").feature_names == ["petal", "sepal"]
