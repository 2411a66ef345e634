"""Side by side with DCMTK, pydcm and pynetdicom 3.0.4, in one run on one machine, as ratios.

``python -m benchmarks`` measures and prints; ``--quick`` is a smoke run. It needs Linux, DCMTK's
tools on the PATH, and pip with an index for pynetdicom 3.0.4 and pydcm, which needs Python 3.12
(left out where there is none). ``python -m benchmarks.compare COMMIT`` measures this checkout and
an earlier commit of it in alternation; ``history.tsv`` is what came of that.

How it is measured
------------------
* The parties are processes of their own. Ours, pydcm (by the names of `standins`) and 3.0.4 run the
  same small scripts of `workers`, on the public API, the others in environments of their own: they
  are never imported here.
* DCMTK runs with ``TCP_NODELAY=1`` in its environment, which is its best case, with its default
  options ("DCMTK") and with the fastest that we found ("DCMTK tuned": 128 KB PDUs on both sides,
  the SCP writes what it reads, ``+B``). "DCMTK as installed" is without ``TCP_NODELAY``; of it, and
  of 3.0.4, fewer objects are sent, and the figure is the time of one.
* The start of the SCU's process, its association and its first object are not counted. Our
  scripts send some objects and then look at the clock; of DCMTK's tools, the duration of a process
  that sends one object is subtracted from that of one that sends all and one more. (storescu
  looks at its files before it associates; that costs a few µs a file and is in its figure.)
* Files are read from disk and written to disk, but never flushed in the measured time: what was
  written before is flushed first, and sources are in the page cache. After every run the stored
  files are counted and their endings compared with the sources.
* Every figure is the median of alternating rounds (five unless told otherwise), every ratio the
  median of the rounds' ratios. Before each run memory is touched once, so that a virtual machine
  has it at hand. Small outputs are renamed away and deleted at the very end, because deleting
  thousands of files slows down those created after them; large ones are deleted at once.
* What a window and several associations are good for is measured against one object after another,
  ours to ours: as it is, and through a relay, a process of its own that takes 20 ms each way.
* Workflows: "creations" hands performed procedure steps to the handlers of the SCP, without a
  network, from encoded data set to encoded data set, against pydicom, which reads and writes the
  same; beside it a bare N-CREATE over loopback, also that of 3.0.4. "commitment" and "claims" are
  against themselves with fewer instances and with no steps. "watchers" tells of steps over
  loopback, each watcher on an association of its own, against one watcher that is told as much.
* Nothing else should run meanwhile: the load before and after is printed with the figures.
"""

from __future__ import annotations
