"""Runs a program where there is little memory: `MODULE=gan.train MEGABYTES=300 python -m tests.gan.little_memory …`.

So much address space may be added to what the imports took, in the process of number PROCESS.
"""

import os
import resource
from importlib import import_module

import lightning_fabric  # noqa: F401  (whose import counts for nobody)
import psutil

from gan.errors import run

if __name__ == "__main__":
    program = import_module(os.environ["MODULE"])
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    short = os.environ.get("LOCAL_RANK", "0") == os.environ.get("PROCESS", "0")
    limit = psutil.Process().memory_info().vms + int(os.environ["MEGABYTES"]) * 10**6
    resource.setrlimit(resource.RLIMIT_AS, (limit if short else most, most))
    run(program.main)
