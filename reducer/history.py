"""Holds what a call was shown as runs of its thread's items: conversations repeat themselves."""

from collections.abc import Iterable, Iterator

from .records import Item


class Run:
    """Items that stand one after the other in their thread."""

    __slots__ = ("siblings", "start", "stop")

    def __init__(self, item: Item) -> None:
        self.siblings = item.siblings
        self.start = item.position
        self.stop = item.position + 1


class History:
    """Items in their order, which may be of several threads. It takes as much as it has runs."""

    __slots__ = ("_runs",)

    def __init__(self, items: Iterable[Item] = ()) -> None:
        runs: list[Run] = []
        for item in items:
            last = runs[-1] if runs else None
            if last and last.stop == item.position and last.siblings is item.siblings:
                last.stop += 1
            else:
                runs.append(Run(item))
        self._runs = tuple(runs)

    def __iter__(self) -> Iterator[Item]:
        """The items, first to last."""
        for run in self._runs:
            yield from run.siblings[run.start : run.stop]
