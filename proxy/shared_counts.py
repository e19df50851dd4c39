"""Counts that several processes keep in memory that they share, so that any of them knows the sum.

Each process writes to a page of its own and reads them all: nothing is locked and nothing is sent.
The page of a process that died stays, and the one that takes its place goes on from there, so no
sum ever goes back.
"""

import mmap
import threading
from collections import Counter

NAME_BYTES = 56
"""A count's name, in UTF-8 and without NUL; a longer one is cut."""

COUNTS_MAX = 255
"""Counts on a page. Their names are made of our own words: some dozens."""

_WORD = 8
_ROW = NAME_BYTES + _WORD
_PAGE = (COUNTS_MAX + 1) * _ROW


class SharedCounts:
    """Pages for so many processes; made before they are forked."""

    def __init__(self, pages: int) -> None:
        self._memory = mmap.mmap(-1, pages * _PAGE)
        self._pages = [
            memoryview(self._memory)[start : start + _PAGE]
            for start in range(0, pages * _PAGE, _PAGE)
        ]

    def page(self, number: int) -> "CountsPage":
        """The page of one process, as the one that had it before left it."""
        return CountsPage(self._pages[number])

    def total(self) -> Counter[str]:
        """The sums over all processes, dead ones too, by name."""
        total: Counter[str] = Counter()
        for memory in self._pages:
            total.update(CountsPage(memory).counts())
        return total


class CountsPage:
    """Counts that one process writes, from any of its threads, each count from one."""

    def __init__(self, memory: memoryview) -> None:
        # A row is a name and a word; the word of the first says how many rows are used. A word is
        # written by one machine instruction, so no reader sees half of it.
        self._memory = memory
        self._words = memory.cast("q")
        self._used = NAME_BYTES // _WORD
        self._new = threading.Lock()
        self._places = {self._name(row): _word_of(row) for row in range(1, self._rows() + 1)}

    def get(self, name: str) -> int:
        """The count of this name; 0 if there is none."""
        place = self._places.get(name)
        return 0 if place is None else self._words[place]

    def set(self, name: str, count: int) -> None:
        """Set the count of this name. Past COUNTS_MAX a new one is not kept."""
        place = self._places.get(name)
        if place is None:
            place = self._add(name)
        if place is not None:
            self._words[place] = count

    def counts(self) -> dict[str, int]:
        """All counts, by name."""
        return {name: self._words[place] for name, place in self._places.items()}

    def _add(self, name: str) -> int | None:
        with self._new:
            row = self._rows() + 1
            if row > COUNTS_MAX:
                return None
            start = row * _ROW
            encoded = name.encode()[:NAME_BYTES]
            self._memory[start : start + len(encoded)] = encoded
            # Only now do others look at the row.
            self._words[self._used] = row
            self._places[name] = _word_of(row)
            return self._places[name]

    def _rows(self) -> int:
        return self._words[self._used]

    def _name(self, row: int) -> str:
        start = row * _ROW
        name = bytes(self._memory[start : start + NAME_BYTES])
        return name.rstrip(b"\0").decode(errors="replace")


def _word_of(row: int) -> int:
    return (row * _ROW + NAME_BYTES) // _WORD
