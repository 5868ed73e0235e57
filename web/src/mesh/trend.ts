/**
 * The last values of one quantity of one node, for a small curve.
 *
 * Pure. Times are Unix seconds of the listener. What the listener has kept fills in what was not heard here.
 */

export const KEPT = 120;
/** A moment that is so much older than the last is one of a clock that was set; otherwise it was heard already. */
const CLOCK_SET_S = 60;
/** So many usual distances without a value are a hole. */
const HOLE = 5;
/** So many steps of the last digit fill the height at least: noise is not a mountain. */
const LEAST_STEPS = 10;

export interface Point {
  ts: number;
  value: number;
}

export interface Shape {
  /** In a box of 100 by 100; lines of which none spans a hole. */
  path: string;
  low: number;
  high: number;
  /** From the first of them to the last. */
  spanS: number;
}

export class Trend {
  private points: Point[] = [];
  /** As it was drawn last, for so many digits; null when it is another one by now. */
  private drawn: { digits: number; shape: Shape | null } | null = null;

  push(ts: number, value: number): void {
    const last = this.points[this.points.length - 1];
    if (last !== undefined && ts <= last.ts) {
      if (last.ts - ts < CLOCK_SET_S) return;
      this.points = [];
    }
    this.points.push({ ts, value });
    this.drawn = null;
    if (this.points.length > 2 * KEPT) this.points = this.points.slice(-KEPT);
  }

  /** What was kept is exact up to its last; only what was heard after that is added to it. */
  fill(kept: readonly Point[]): void {
    const sorted = [...kept].sort((one, other) => one.ts - other.ts);
    const last = sorted[sorted.length - 1];
    if (last === undefined) return;
    this.drawn = null;
    this.points = [...sorted, ...this.points.filter(({ ts }) => ts > last.ts)].slice(-KEPT);
  }

  /** Null: nothing to draw. */
  shape(digits: number): Shape | null {
    if (this.drawn?.digits !== digits) this.drawn = { digits, shape: this.draw(digits) };
    return this.drawn.shape;
  }

  private draw(digits: number): Shape | null {
    const points = this.points.slice(-KEPT);
    const [first, last] = [points[0], points[points.length - 1]];
    if (first === undefined || last === undefined) return null;
    const values = points.map(({ value }) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max(0, LEAST_STEPS * 10 ** -digits - (high - low)) / 2;
    const [bottom, height] = [low - room, high - low + 2 * room];
    const spanS = last.ts - first.ts;
    const hole = HOLE * usual(points);
    let path = "";
    let before = -Infinity;
    for (const { ts, value } of points) {
      const x = (spanS > 0 ? (100 * (ts - first.ts)) / spanS : 100).toFixed(1);
      const y = (95 - (90 * (value - bottom)) / height).toFixed(1);
      // A single one is a point: a line to itself has round ends.
      path += ts - before > hole ? `M${x} ${y}L${x} ${y}` : `L${x} ${y}`;
      before = ts;
    }
    return { path, low, high, spanS };
  }
}

/** The distance between two of them that is in the middle of all distances. */
function usual(points: readonly Point[]): number {
  const distances = points.slice(1).map(({ ts }, index) => ts - points[index]!.ts);
  return distances.sort((one, other) => one - other)[distances.length >> 1] ?? 0;
}
