/** Which part of the time axis is shown. Pure. */

export type Span = [number, number];

const SHORTEST = 0.05;

/** Between two times of `full`; all of it is null. */
export function clamp([from, to]: Span, full: Span): Span | null {
  const length = Math.max(SHORTEST, Math.min(to - from, full[1] - full[0]));
  if (length >= full[1] - full[0]) return null;
  const begin = Math.min(Math.max(from, full[0]), full[1] - length);
  return [begin, begin + length];
}

/** `factor` below 1 shows less; what is at `at` stays where it is. */
export function scale(shown: Span, full: Span, factor: number, at: number): Span | null {
  return clamp([at - (at - shown[0]) * factor, at + (shown[1] - at) * factor], full);
}

/** By so many of its own lengths. */
export function shift(shown: Span, full: Span, share: number): Span | null {
  const by = share * (shown[1] - shown[0]);
  return clamp([shown[0] + by, shown[1] + by], full);
}
