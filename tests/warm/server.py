"""`python tests/warm/server.py SOCKET`: forks, with its modules loaded, into the programs that are asked for there.

It ends when its standard input does.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

MODULES = [
    *["torch._dynamo", "torch.distributed", "torchvision", "lightning_fabric", "torch.optim.swa_utils"],
    *["nnunetv2.run.run_training", "nnunetv2.inference.predict_from_raw_data"],
    *["nnunetv2.experiment_planning.plan_and_preprocess_api", "SimpleITK", "pydicom", "skimage.metrics", "scipy.stats"],
    *["scipy.ndimage", "pandas", "seaborn", "matplotlib.pyplot", "jinja2", "jsonschema", "yaml", "tqdm", "filelock"],
    *["statsmodels.stats.multitest", "safetensors.torch"],
]


def load() -> None:
    """Import what the programs import but nnU-Net itself, which reads the environment as it is imported."""
    for name in MODULES:
        __import__(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "nnunetv2"]:
        del sys.modules[name]
    gc.freeze()


def task(path: str) -> dict[str, Any]:
    """Serve until there is a program to be: return what it was asked for, in the process that is to be it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)  # noqa: T201
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                sys.exit()
            asked, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return wait(asked)
            asked.close()


def wait(asked: socket.socket) -> dict[str, Any]:
    """Start a process for the program, in which this returns, and tell the client how it ended."""
    _, files, _, _ = socket.recv_fds(asked, 1, 3)
    text = b"".join(iter(lambda: asked.recv(2**16), b""))
    program = os.fork()
    if program == 0:
        asked.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        found: dict[str, Any] = json.loads(text)
        return found
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    asked.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def become(module: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be `python -m module arguments` in a folder and an environment."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.modules["torch"].set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
    sys.path[:1] = [folder, *environment.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        end(0)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)  # noqa: T201
        end(error.code if isinstance(error.code, int) else int(error.code is not None))
    except BaseException:
        traceback.print_exc()
        end(1)


def end(code: int) -> NoReturn:
    """End as an interpreter does, but for what it would take apart: all that was loaded."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


load()
become(**task(sys.argv[1]))
