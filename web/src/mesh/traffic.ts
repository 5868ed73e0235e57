/**
 * What goes over the serial line, line by line: the newest of them, what fits a filter, what is on the screen.
 *
 * Pure. A line has a number of its own, since two may be of the same moment.
 */

import type { Told } from "./protocol";

export const KEPT = 2000;
const SPARE = 500;
/** Above and below what can be seen. */
const MORE_ROWS = 6;

export const DIRECTIONS = ["up", "down", "note"] as const;

export interface Line extends Told {
  id: number;
}

export interface Filter {
  /** "" are all. */
  direction: string;
  addr: number | null;
  text: string;
}

export class Traffic {
  /** How many came in all. */
  received = 0;
  private lines: Line[] = [];
  private nextId = 0;

  push(told: Told): void {
    this.received += 1;
    this.lines.push(this.numbered(told));
    if (this.lines.length > KEPT + SPARE) this.lines = this.lines.slice(-KEPT);
  }

  /** What the listener has kept: exact between its first and its last. */
  fill(kept: readonly Told[]): void {
    const sorted = [...kept].sort((one, other) => one.ts - other.ts);
    const [first, last] = [sorted[0], sorted[sorted.length - 1]];
    if (first === undefined || last === undefined) return;
    const older = this.lines.filter(({ ts }) => ts < first.ts);
    const newer = this.lines.filter(({ ts }) => ts > last.ts);
    this.lines = [...older, ...sorted.map((told) => this.numbered(told)), ...newer].slice(-KEPT);
  }

  clear(): void {
    this.lines = [];
  }

  /** Newest last; it does not change any more. */
  all(): readonly Line[] {
    return this.lines.slice(-KEPT);
  }

  private numbered({ ts, direction, addr, text, raw }: Told): Line {
    this.nextId += 1;
    return { id: this.nextId, ts, direction, addr, text, raw };
  }
}

/** Newest first. */
export function shown(lines: readonly Line[], filter: Filter): Line[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Line[] = [];
  for (let at = lines.length - 1; at >= 0; at -= 1) if (passes(lines[at]!, filter, words)) found.push(lines[at]!);
  return found;
}

function passes({ direction, addr, text, raw }: Line, filter: Filter, words: readonly string[]): boolean {
  if (filter.direction !== "" && filter.direction !== direction) return false;
  if (filter.addr !== null && filter.addr !== addr) return false;
  if (words.length === 0) return true;
  const where = `${text} ${raw}`.toLowerCase();
  return words.every((word) => where.includes(word));
}

/** The rows of which something can be seen, and a few more: from `first` up to but without `end`. */
export function visible(scrolled: number, height: number, row: number, count: number): { first: number; end: number } {
  const first = Math.max(0, Math.floor(scrolled / row) - MORE_ROWS);
  const end = Math.min(count, Math.ceil((scrolled + height) / row) + MORE_ROWS);
  return { first: Math.min(first, end), end };
}

/** For a file, oldest first. */
export function textOf(lines: readonly Line[]): string {
  const rows = [...lines].reverse().map(({ ts, direction, addr, text, raw }) => {
    const cells = [new Date(1000 * ts).toISOString(), direction, addr ?? "", text.replace(/[\t\r\n]+/g, " "), raw];
    return cells.join("\t");
  });
  return ["time\tdirection\taddress\ttext\toctets", ...rows, ""].join("\n");
}
