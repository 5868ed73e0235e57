/** Curves of rides on a common time axis. Pure. */

import type { Course, Curve, Ride, Samples, Tracks } from "./protocol";
import { CHANNELS } from "./protocol";
import type { Columns } from "./plot";
import { trackColumns } from "./tracks";

const DIGITS = 1e6;

/** Seconds after the start of movement, velocity and position as they were. */
export function ofRide(curve: Curve): { velocity: Columns; position: Columns } {
  const times = curve.offsets_us.map((us) => us / DIGITS);
  return { velocity: [times, curve.velocity_mm_s], position: [times, curve.position_mm] };
}

/** Distance and speed in the direction of travel, from the start of movement to its end, every `intervalS`. */
export function courseOf(ride: Ride, curve: Curve, intervalS: number): Course {
  const sign = ride.direction === "up" ? 1 : -1;
  const lastS = (ride.end_ts ?? ride.start_ts) - ride.start_ts;
  const count = Math.max(1, Math.ceil(lastS / intervalS - 1e-4) + 1);
  const times = curve.offsets_us.map((us) => us / DIGITS);
  const at = (values: number[], number: number) => between(times, values, Math.min(number * intervalS, lastS));
  const start = between(times, curve.position_mm, 0);
  const numbers = Array.from({ length: count }, (_, number) => number);
  return {
    distance_mm: numbers.map((number) => sign * (at(curve.position_mm, number) - start)),
    speed_mm_s: numbers.map((number) => sign * at(curve.velocity_mm_s, number)),
  };
}

/** Several on one time axis; one that has ended is not drawn on. */
export function beside(courses: number[][], intervalS: number): Columns {
  const length = Math.max(0, ...courses.map((values) => values.length));
  const times = Array.from({ length }, (_, number) => number * intervalS);
  return [times, ...courses.map((values) => times.map((_, number) => values[number] ?? null))];
}

/** Upper and lower edge of the tolerance, the reference, the ride: as the chart of a comparison wants them. */
export function withBand(reference: number[], ride: number[], tolerance: number, intervalS: number): Columns {
  const [times = [], theirs = [], ours = []] = beside([reference, ride], intervalS);
  // After its end a car stands: a ride that takes longer is still compared with something.
  const last = reference[reference.length - 1] ?? 0;
  const edge = (by: number) => theirs.map((value) => (value ?? last) + by);
  return [times, edge(tolerance), edge(-tolerance), theirs, ours];
}

/** Ride minus reference, between the edges of the tolerance. */
export function apart(reference: number[], ride: number[], tolerance: number, intervalS: number): Columns {
  const length = Math.max(reference.length, ride.length);
  const at = (values: number[], number: number) => values[number] ?? values[values.length - 1] ?? 0;
  const numbers = Array.from({ length }, (_, number) => number);
  return [
    numbers.map((number) => number * intervalS),
    numbers.map(() => tolerance),
    numbers.map(() => -tolerance),
    numbers.map((number) => at(ride, number) - at(reference, number)),
  ];
}

/** A table for spreadsheets, as `lesrides export --csv` writes it. */
export function curveCsv(curve: Curve, tracks: Tracks = {}): string {
  const signals = trackColumns(tracks);
  const rows = curve.offsets_us.map((us, row) => [
    (us / DIGITS).toFixed(4),
    ...[curve.position_mm, curve.velocity_mm_s, curve.acceleration_mm_s2].map((values) => (values[row]! + 0).toFixed(2)),
    // Of the moment that the row tells.
    ...signals.cells(Number((us / DIGITS).toFixed(4)) * DIGITS + 0.5),
  ]);
  return table(["time_s", "position_mm", "velocity_mm_s", "acceleration_mm_s2", ...signals.header], rows);
}

/** Every frame of both channels, in the order of time. */
export function samplesCsv(samples: Samples, resolutionMm: number): string {
  const frames = CHANNELS.flatMap((channel) => {
    const [offsets, raw] = samples[channel] ?? [[], []];
    return offsets.map((us, index) => ({ us, channel, raw: raw[index]! }));
  }).sort((a, b) => a.us - b.us);
  return table(
    ["time_s", "position_mm", "channel", "position_raw"],
    frames.map(({ us, channel, raw }) => [
      (us / DIGITS).toFixed(6),
      String(Number((raw * resolutionMm).toPrecision(10))),
      channel,
      String(raw),
    ]),
  );
}

function table(header: string[], rows: string[][]): string {
  return [header, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

function between(times: number[], values: number[], at: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return values[0] ?? 0;
  if (low === times.length) return values[low - 1]!;
  const share = (at - times[low - 1]!) / (times[low]! - times[low - 1]!);
  return values[low - 1]! + share * (values[low]! - values[low - 1]!);
}
