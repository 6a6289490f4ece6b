"""The cluster of a sweep: joblib's Dask backend, which here learns what the cluster gives up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib._dask import DaskDistributedBackend


class Cluster(DaskDistributedBackend):
    """Raises the cluster's error about a task that killed each worker it was tried on.

    joblib 1.6 hears of results alone, and waits for such a task for ever.
    """

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Future[Any]:
        """Send a task to the cluster; call back with its result, or with its error."""
        future: Future[Any] = super().submit(func, callback)
        future.add_done_callback(lambda done: done.exception() and callback(done.exception()))
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the result out of what came back, or raise the error that it is."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)
