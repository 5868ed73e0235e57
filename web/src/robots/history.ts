/**
 * What a robot told of itself in the last minutes, a value every few seconds.
 *
 * Pure. Times are Unix seconds of the listener. What the listener has kept fills in what was not heard here.
 */

import type { Quantity, Values } from "./protocol";
import { QUANTITIES } from "./protocol";

export const SHOWN_S = 300;
export const EVERY_S = 3;
/** So long without a value is drawn as a gap. */
const GAP_S = 4 * EVERY_S;

interface Step {
  ts: number;
  values: Values;
}

export class History {
  private steps = new Map<number, Step>();

  push(ts: number, values: Values): void {
    const step = Math.floor(ts / EVERY_S);
    this.steps.set(step, { ts, values });
    if (this.steps.size > (2 * SHOWN_S) / EVERY_S) this.forget(step - SHOWN_S / EVERY_S);
  }

  /** What was heard here stays. */
  fill(samples: readonly (Values & { ts: number })[]): void {
    for (const { ts, ...values } of samples) {
      const step = Math.floor(ts / EVERY_S);
      if (!this.steps.has(step)) this.steps.set(step, { ts, values });
    }
  }

  /** A path in a box of SHOWN_S by 100, `now` at its right edge; lines of which none spans a gap. */
  path(quantity: Quantity, now: number, [low, high]: [number, number]): string {
    let path = "";
    let before = -Infinity;
    for (const [ts, value] of this.column(quantity, now)) {
      const x = (SHOWN_S - (now - ts)).toFixed(1);
      const y = (100 - (100 * (value - low)) / (high - low)).toFixed(1);
      // A single one is a point: a line to itself has round ends.
      path += ts - before > GAP_S ? `M${x} ${y}L${x} ${y}` : `L${x} ${y}`;
      before = ts;
    }
    return path;
  }

  /** The least and the most of what is shown. */
  extent(quantity: Quantity, now: number): [number, number] | null {
    const values = this.column(quantity, now).map(([, value]) => value);
    return values.length ? [Math.min(...values), Math.max(...values)] : null;
  }

  private column(quantity: Quantity, now: number): [number, number][] {
    const found: [number, number][] = [];
    for (const { ts, values } of this.steps.values()) {
      const value = values[quantity];
      if (value !== null && value !== undefined && now - ts <= SHOWN_S && ts <= now + EVERY_S) found.push([ts, value]);
    }
    return found.sort(([one], [other]) => one - other);
  }

  private forget(before: number): void {
    for (const step of this.steps.keys()) if (step < before) this.steps.delete(step);
  }
}

const WHOLE: [number, number] = [0, 100];
const LEAST_DEGREES = 20;

/** From where to where it is drawn. */
export function rangeOf(quantity: Quantity, extent: [number, number] | null): [number, number] {
  if (quantity !== "temperature") return WHOLE;
  const [low, high] = extent ?? [20, 40];
  const room = Math.max(0, LEAST_DEGREES - (high - low)) / 2;
  return [Math.floor(low - room - 2), Math.ceil(high + room + 2)];
}

export const NOTHING: Values = Object.fromEntries(QUANTITIES.map((name) => [name, null])) as unknown as Values;
