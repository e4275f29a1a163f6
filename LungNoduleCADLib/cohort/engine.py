"""Where the tasks of a batch run: processes of this computer, or the workers of a Dask scheduler."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec

import psutil

from LungNoduleCADLib.cohort.process import stop_running
from LungNoduleCADLib.errors import InputError

GIGABYTES_A_SCAN = 4.0
_CONNECT_SECONDS = 20


def usual_workers() -> int:
    """As many as memory and half of the cores allow, at least one."""
    memory_gb = psutil.virtual_memory().available / 2**30
    return max(1, min((os.cpu_count() or 1) // 2, int(memory_gb / GIGABYTES_A_SCAN)))


def usual_threads(workers: int) -> int:
    """Threads of each worker, so that together they fill the cores."""
    return max(1, (os.cpu_count() or 1) // workers)


@contextmanager
def local_engine(workers: int) -> Iterator[Executor]:
    """Threads of this process, each of which watches over one scan's process."""
    with ThreadPoolExecutor(workers) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            stop_running()
            raise


@contextmanager
def dask_engine(address: str) -> Iterator[Executor]:
    """The workers of a running Dask scheduler; they see the same files and have LungNoduleCAD installed.

    A task whose worker is lost is given to another one by the scheduler.

    Raises
    ------
    InputError : Dask is not installed here, or no scheduler answers at the address.
    """
    if find_spec("distributed") is None:
        raise InputError(
            "Dask distributed is not installed",
            expected="the extra cohort",
            todo='pip install "lungnodulecad[cohort]", or leave --scheduler out',
        )
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            "No Dask scheduler answers",
            expected="the address of a running one, such as tcp://HOST:8786",
            got=f"{address} ({type(error).__name__})",
        ) from error
    with client:
        executor = client.get_executor(pure=False, retries=0)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)  # what has not begun is cancelled
