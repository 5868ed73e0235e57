"""What an endurance run has found: a table for people, and whether everything is as it must be."""

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.soak import Soak

# The last minute of events is kept for clients that come back, 8 MiB at most; the rest is small change.
GROWTH_MAX_KIB = 12 * 1024
SLOPE_MAX_KIB_MIN = 64
SLOPE_FROM_MINUTES = 10
END_MAX_S = 5.0


@dataclass(slots=True)
class Loss:
    """One failure of the interface. Unix times; `last` and `first` are those of the positions around it."""

    kind: str
    down: float
    up: float = 0.0
    last: float = 0.0
    first: float = 0.0
    lost_told: float = 0.0
    up_told: float = 0.0
    receiving_told: float = 0.0
    seen: float = 0.0
    unheard: int = 0
    unread: int = 0


class Report:
    """Rows of *what, how much, what it must be*; the ones that are not as they must be make the run fail."""

    def __init__(self, soak: "Soak") -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.failures: list[str] = []
        self._early = soak.interrupted
        self._frames(soak)
        self._clients(soak)
        self._losses(soak)
        self._process(soak)

    def _row(self, what: str, value: object, must: str = "", *, holds: bool = True) -> None:
        self.rows.append((what, str(value), must if holds else f"**{must}**"))
        if not holds:
            self.failures.append(f"{what}: {value}, must be {must}")

    def _happened(self, what: str, value: object, *, times: float) -> None:
        """At least once; a run that was ended early may not have come to it."""
        self._row(what, value, "" if self._early else "> 0", holds=self._early or times > 0)

    def _equal(self, what: str, value: object, must: object) -> None:
        self._row(what, value, str(must), holds=value == must)

    def _frames(self, soak: "Soak") -> None:
        metrics, witness, permanent = soak.received, soak.witness, soak.permanent
        frames = sum(int(n) for name, n in metrics.items() if name.startswith("les02_frames_total{"))
        lost = int(metrics.get('les02_lost_frames_total{where="kernel"}', 0))
        unheard = sum(loss.unheard for loss in soak.losses)
        unread = sum(loss.unread for loss in soak.losses)
        positions = sum(int(metrics[f'les02_frames_total{{kind="{kind}"}}']) for kind in ("master", "slave"))
        granted = soak.daemon.records["receive_buffer"]

        self._row("duration", f"{soak.ran_s / 60:.1f} min, seed {soak.seed}, {soak.clients} clients")
        if "frames sent" in soak.summary:
            self._equal("frames sent, as the sensor says", int(soak.summary.split()[0]), witness.frames)
        self._equal("frames that the witness missed", soak.witness_dropped, 0)
        self._row("frames sent, as the witness saw", witness.frames)
        self._row("– received by the daemon", frames)
        self._row(
            "– lost in the kernel, told",
            lost,
            f"0 with {granted['granted']} bytes of buffer",
            holds=lost == 0 or granted["granted"] < granted["wanted"] - 1,
        )
        self._equal("– lost in the kernel, by `gap` events", permanent.skipped["kernel"], lost)
        self._row("– sent before the daemon had found the interface again", unheard)
        self._equal("– left unread in the socket of a lost interface", unread, 0)
        self._equal("– in no account", witness.frames - frames - lost - unheard - unread, 0)
        self._row("positions received by the daemon", positions)
        told = permanent.positions + permanent.skipped["client"]
        self._equal("– at the permanent client, and told to it as skipped", told, positions)
        self._row("– thereof skipped", permanent.skipped["client"])
        self._row("positions that the simulated sensor sent over 10 ms late", len(witness.unpunctual))
        self._row("`gap` events of the bus", soak.bus_gaps)
        self._equal("– while the sensor was punctual", len(soak.false_gaps), 0)
        self.failures += soak.false_gaps

    def _clients(self, soak: "Soak") -> None:
        slow, left = soak.slow, soak.guests.left
        positions = soak.permanent.positions + soak.permanent.skipped["client"]
        self._happened("`gap` events told to the slow reader", len(slow.gaps), times=len(slow.gaps))
        self._equal("– times that it was given up", soak.daemon.aborted[soak.slow_address], 0)
        self._row("– positions skipped for it", slow.skipped["client"])
        self._equal("– its positions and the skipped", slow.positions + slow.skipped["client"], positions)
        self._row("visits that ended politely / abruptly", f"{left['politely']} / {left['abruptly']}")
        self._equal("– readers cut off, close frames unanswered", len(soak.guests.harmed), 0)
        self.failures += soak.guests.harmed
        self._happened("stuck clients given up", left["stuck"], times=left["stuck"])
        *_, late = statistics.quantiles(soak.ages, n=100)
        ages = f"{statistics.median(soak.ages):.3f} / {late:.3f} / {max(soak.ages):.3f}"
        self._row("age of a position when read, median / p99 / max, s", ages)
        self._row("longest pause of this program itself, s", f"{soak.longest_pause_s:.2f}")
        self._row("MB read by the visitors", f"{soak.guests.bytes / 1e6:.1f}")
        self._happened("times that the daemon was stopped for 1 s", soak.stops, times=soak.stops)

    def _losses(self, soak: "Soak") -> None:
        losses = soak.losses
        kinds = {kind: sum(loss.kind == kind for loss in losses) for kind in ("down", "del")}
        told = "{down} / {del}".format(**kinds)
        self._happened("losses of the bus (down / deleted)", told, times=min(kinds.values()))
        self._equal("– told `bus_lost`", sum(bool(loss.lost_told) for loss in losses), len(losses))
        self._equal(
            "– told `bus_up` and `receiving`", sum(bool(loss.receiving_told) for loss in losses), len(losses)
        )
        self._row("– `bus_lost` after, s", spread([loss.lost_told - loss.down for loss in losses]))
        for kind in kinds:
            taken = [loss.seen - loss.up for loss in losses if loss.kind == kind]
            self._row(f"– first position after `ip link set up` ({kind}), s", spread(taken))
        self._equal("`bus_lost` and `bus_up` without a loss", len(soak.unexpected), 0)
        self.failures += soak.unexpected

    def _process(self, soak: "Soak") -> None:
        daemon, resident = soak.daemon, soak.resident
        fds, fds_before = (
            ", ".join(f"{n} {what}" for what, n in sorted(Counter(targets).items()))
            for targets in (soak.ended_descriptors, soak.descriptors)
        )
        self._equal("descriptors, end and beginning", fds, fds_before)
        self._equal("clients at the end", int(soak.received["les02_clients"]), 2)
        self._equal("threads, end and beginning", soak.ended_threads, soak.threads)
        end_kib = resident[-1][1]
        warm_kib = soak.warm_kib or end_kib
        growth = end_kib - warm_kib
        self._row(
            "RSS after warm-up / end / highest, KiB",
            f"{warm_kib} / {end_kib} / {max(k for _, k in resident)}",
        )
        self._row("– growth, KiB", growth, f"< {GROWTH_MAX_KIB}", holds=growth < GROWTH_MAX_KIB)
        times, sizes = zip(*resident[len(resident) // 2 :], strict=True)
        slope = statistics.linear_regression(times, sizes).slope * 60 if len(times) > 1 else 0.0
        long = soak.ran_s >= SLOPE_FROM_MINUTES * 60
        must = f"< {SLOPE_MAX_KIB_MIN}" if long else f"(from {SLOPE_FROM_MINUTES} min on)"
        self._row(
            "– slope of the second half, KiB/min",
            f"{slope:.1f}",
            must,
            holds=not long or slope < SLOPE_MAX_KIB_MIN,
        )
        self._row("CPU of the daemon, share of the time", f"{soak.cpu_share:.1%}")
        self._row("CPU of sensor, clients and witness", f"{soak.cpu_around:.1%}")
        self._equal("log lines of level error beside `bus_lost`", len(daemon.failures), 0)
        self.failures += daemon.failures
        self._equal("exit code on SIGTERM", daemon.process.returncode, 0)
        self._row("– after, s", f"{soak.end_s:.2f}", f"< {END_MAX_S:g}", holds=soak.end_s < END_MAX_S)
        self._equal("– told to the clients with code", soak.permanent.close_code, 1001)

    def table(self) -> str:
        rows = [("what", "value", "must be"), ("---", "---", "---"), *self.rows]
        return "\n".join(f"| {what} | {value} | {must} |" for what, value, must in rows)


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}" if values else "–"
