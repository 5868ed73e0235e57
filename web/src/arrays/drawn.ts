/**
 * What is drawn of a stream: packets in, columns of a chart out.
 *
 * Pure.
 *
 * 1. A packet of a live source, or of the demo, is all that is shown. An array that is played comes in pieces,
 *    of which as many are kept as are shown.
 * 2. A line never spans a hole: where points were missed, and where a live source was silent.
 * 3. A chart wants its points from left to right: those of which x goes back are drawn by their number.
 */

import type { Packet } from "./packet";

/** So many times the usual distance is a hole. */
const HOLE = 10;
/** Nobody can draw beyond. */
const LARGEST = 1e300;

export type Axis = "ago" | "plain" | "number";

export interface Drawn {
  x: number[];
  y: (number | null)[];
  axis: Axis;
  /** Values that are no finite number. */
  odd: number;
}

export class Roll {
  private x: number[] = [];
  private y: (number | null)[] = [];
  private total = 0;
  private turns = false;

  constructor(private readonly most: number) {}

  push({ x, y, total, fresh }: Packet): void {
    const last = this.x[this.x.length - 1];
    const first = x[0];
    if (first === undefined) return;
    // Played from its beginning again.
    if (last !== undefined && first < last && !this.turns) this.clear();
    else if (last !== undefined && total - fresh > this.total) {
      this.x.push(first);
      this.y.push(null);
    }
    this.total = total;
    this.turns = this.turns || !ascends(x);
    for (let index = 0; index < x.length; index += 1) {
      this.x.push(x[index]!);
      this.y.push(y[index]!);
    }
    const over = this.x.length - this.most;
    if (over > 0) {
      this.x.splice(0, over);
      this.y.splice(0, over);
    }
  }

  /** As a chart wants it. */
  drawn(): Drawn {
    return ordered([...this.x], this.y, "plain"); // a copy: a chart keeps it
  }

  private clear(): void {
    this.x = [];
    this.y = [];
    this.total = 0;
  }
}

/** Of a live source: how long ago. */
export function live({ x, y }: Packet): Drawn {
  const now = x[x.length - 1] ?? 0;
  const found = ordered(Array.from(x, (each) => each - now), Array.from(y), "ago");
  return found.axis === "ago" ? withHoles(found) : found;
}

/** As it comes. */
export function plain({ x, y }: Packet): Drawn {
  return ordered(Array.from(x), Array.from(y), "plain");
}

function ordered(x: number[], y: (number | null)[], axis: Axis): Drawn {
  let odd = 0;
  const clean = y.map((each) => {
    if (each !== null && Math.abs(each) <= LARGEST) return each;
    if (each !== null) odd += 1;
    return null;
  });
  if (ascends(x)) return { x, y: clean, axis, odd };
  return { x: x.map((_, index) => index), y: clean, axis: "number", odd };
}

/** Also false for what is no number. */
function ascends(x: ArrayLike<number>): boolean {
  for (let index = 0; index < x.length; index += 1) {
    if (!Number.isFinite(x[index]!) || (index > 0 && x[index]! < x[index - 1]!)) return false;
  }
  return true;
}

function withHoles({ x, y, axis, odd }: Drawn): Drawn {
  const usual = ((x[x.length - 1] ?? 0) - (x[0] ?? 0)) / Math.max(1, x.length - 1);
  const found: Drawn = { x: [], y: [], axis, odd };
  x.forEach((each, index) => {
    const before = x[index - 1];
    if (before !== undefined && each - before > HOLE * usual) {
      found.x.push((before + each) / 2);
      found.y.push(null);
    }
    found.x.push(each);
    found.y.push(y[index]!);
  });
  return found;
}
