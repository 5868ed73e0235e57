"""A table of times and positions, as a curve that a ride is compared with.

Its lines in, a `Reference` out, with what is to be remarked on it; a table that is no curve is a `NoCurve`
with the reason.

1. Time 0 of a table of `lesrides export` is the beginning of its ride. That of another, and the end of any,
   is calculated from few positions; so it is looked for around there, where the way is most like the ride's.
2. Velocities of a table are taken if they fit its positions; else they are derived.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from listener.rides import detector, files, filling, intake, plausibility
from listener.rides.curves import Curve, Point, begin_like, believable, curve, end_like
from listener.rides.files import NotUnderstood
from listener.rides.finder import RideBegan, RideEnded, RideFinder, motions
from listener.rides.intake import TooMuch
from listener.rides.motion import INTERVAL_S
from listener.rides.summary import Phase, summarise

# So far beginnings are off that are calculated from whole millimetres; more, if these are far apart.
BEGIN_S: Final = 0.1
# Other systems tell more than whole millimetres.
LEAST_MM: Final = 0.001


class NoCurve(ValueError):  # noqa: N818 - what it is
    """The text says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    curve: Curve
    phases: tuple[Phase, ...]
    remarks: tuple[str, ...]


def reference(
    lines: Sequence[str],
    ride: Curve,
    resolution_mm: float,
    limits: tuple[detector.Limits, plausibility.Limits],
) -> Reference:
    read = list(files.read_csv(lines))
    wrong = [each for each in read if isinstance(each, NotUnderstood)]
    table = [each for each in read if isinstance(each, files.Point)]
    remarks = [files.not_understood([each.line for each in wrong], wrong[0].reason)] if wrong else []
    if not table:
        raise NoCurve("; ".join(["no positions in it", *remarks]))
    try:
        searched = list(intake.to_be_searched(list(intake.bounded(filling.dense(table)))))
    except TooMuch as exc:
        raise NoCurve(str(exc)) from None
    too_sparse = filling.too_sparse(table)
    channel = min(each.channel for each in table)
    course = [each for each in table if each.channel == channel]
    exported = files.begins_with_ride(lines) and course[0].ts <= 2 * INTERVAL_S < course[-1].ts
    finder = RideFinder(resolution_mm, *limits)
    samples = (intake.sample_of(each, resolution_mm) for each in searched)
    rides = _rides(finder, samples)
    if not rides:
        raise NoCurve("; ".join(filter(None, ["no ride in it", too_sparse, *remarks])))
    if len(rides) > 1 and not exported:
        raise NoCurve(f"{len(rides)} rides in it; import it and name one")
    began, ended = min(rides, key=lambda each: abs(each[0].begin.ts))
    known = _known(course, searched)
    begin_ts, end_ts = began.begin.ts, ended.end.ts
    within_s = BEGIN_S + filling.spacing_s(table)
    if exported:
        begin_ts = 0.0
    elif not began.partial:
        begin_ts = begin_like(ride, known, begin_ts, within_s, began.direction)
    if ended.cause is None:
        end_ts = end_like(ride, known, end_ts, within_s, began.direction)
    remarks += [too_sparse] if too_sparse else []
    remarks += [intake.BEGINS_LATE] if began.partial and not exported else []
    remarks += [intake.ENDS_EARLY] if ended.cause == intake.END_OF_FILE else []
    found = curve(known, begin_ts, end_ts, began.direction)
    return Reference(found, _phases(ended, begin_ts, end_ts), tuple(remarks))


def _rides(finder: RideFinder, samples: Iterable[files.Sample]) -> list[tuple[RideBegan, RideEnded]]:
    told = [each for sample in samples for each in finder.position(*sample)]
    told += finder.interrupt(intake.END_OF_FILE)
    began = [each for each in told if isinstance(each, RideBegan)]
    ended = [each for each in told if isinstance(each, RideEnded)]
    return list(zip(began, ended, strict=True))


def _phases(ended: RideEnded, begin_ts: float, end_ts: float) -> tuple[Phase, ...]:
    if ended.cause is not None:
        return ()
    places = ended.summary.start_position_mm, ended.summary.stop_position_mm
    return summarise(ended.motions, begin_ts, end_ts, *places, ended.direction).phases


def _known(course: Sequence[files.Point], searched: Sequence[files.Point]) -> list[Point]:
    known = [
        Point(each.ts, each.position_mm, each.velocity_mm_s)
        for each in course
        if each.velocity_mm_s is not None
    ]
    if len(known) == len(course) and believable(known):
        return known
    samples = (intake.sample_of(each, LEAST_MM) for each in searched)
    return [Point(each.ts, each.position_mm, each.velocity_mm_s) for each in motions(samples, LEAST_MM)]
