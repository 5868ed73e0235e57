/**
 * The newest frame of every identifier, and which of its octets have changed.
 *
 * Pure: frames and the time in, rows out. `Row` is what is known; `Shown` a picture of it that does not change,
 * so that a view may stand while the rows go on.
 */

import type { CanFrame, Signal } from "./stream";

/** So long an octet that has changed is marked. */
export const MARK_MS = 1000;
/** Older than that is not current; what comes seldom may be three of its periods old. */
const CURRENT_MS = 1500;
/** A multiplexed signal comes with some frames only. */
const CURRENT_SIGNAL_MS = 3000;
const ROWS_MAX = 4096;

export interface Kept {
  signal: Signal;
  at: number;
}

export interface Row {
  key: string;
  id: number;
  extended: boolean;
  /** As it is written: 0x110, 18FEF100x. */
  label: string;
  name: string;
  data: number[];
  /** When each octet changed last; 0 never. */
  changedAt: number[];
  remote: boolean;
  fd: boolean;
  /** All that came so far: of a multiplexed message not every frame has every signal. */
  signals: Map<string, Kept>;
  /** What could not be decoded. */
  error: string;
  /** When it came here, in ms of this page's clock. */
  at: number;
  /** How often it came here; fewer than on the bus, if that is fast. */
  seen: number;
  /** On the bus, as the listener counts: how many there were, and the mean period. */
  count: number | null;
  periodMs: number | null;
  missing: boolean;
}

export interface Counted {
  id: number;
  is_extended: boolean;
  count: number;
  period_mean_ms: number | null;
  missing: boolean;
}

export class FrameTable {
  readonly rows = new Map<string, Row>();
  /** Frames that came, and those of identifiers for which there was no room. */
  received = 0;
  without = 0;

  /** `isNew`: its identifier, its name or a signal; the order, and what a filter finds, may be another. */
  take(frame: CanFrame, now: number): { row: Row | null; isNew: boolean } {
    this.received += 1;
    const key = keyOf(frame.id, frame.is_extended);
    let row = this.rows.get(key);
    const name = frame.decoded?.message_name ?? "";
    const isNewName = row === undefined || row.name !== name;
    if (row === undefined) {
      if (this.rows.size >= ROWS_MAX) {
        this.without += 1;
        return { row: null, isNew: false };
      }
      row = emptyRow(frame, key);
      this.rows.set(key, row);
    }
    const first = row.seen === 0;
    row.changedAt = frame.data.map((octet, place) => {
      if (first || row.data[place] === octet) return row.changedAt[place] ?? 0;
      return now;
    });
    row.data = frame.data;
    row.name = name;
    if (isNewName) row.signals.clear();
    const before = row.signals.size;
    for (const [each, signal] of Object.entries(frame.decoded?.signals ?? {})) row.signals.set(each, { signal, at: now });
    row.remote = frame.is_remote;
    row.fd = frame.is_fd ?? false;
    row.error = frame.decoded?.error ?? "";
    row.at = now;
    row.seen += 1;
    return { row, isNew: isNewName || row.signals.size > before };
  }

  /** The rows about which it says something else than before. */
  count(counted: Counted[]): Row[] {
    const changed: Row[] = [];
    for (const each of counted) {
      const row = this.rows.get(keyOf(each.id, each.is_extended));
      if (row === undefined) continue;
      const { count, period_mean_ms: periodMs, missing } = each;
      if (row.count === count && row.periodMs === periodMs && row.missing === missing) continue;
      Object.assign(row, { count, periodMs, missing });
      changed.push(row);
    }
    return changed;
  }

  clear(): void {
    this.rows.clear();
    this.received = this.without = 0;
  }

  /** By number, standard before extended: where a row is does not depend on when it came. */
  ordered(filter = ""): Row[] {
    const found = [...this.rows.values()].filter((row) => fits(row, filter));
    return found.sort((one, other) => one.id - other.id || Number(one.extended) - Number(other.extended));
  }
}

/** Words of which each is somewhere in the identifier, the name, or the name of a signal. */
export function fits(row: Pick<Row, "label" | "name" | "signals">, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const where = [row.label, row.name, ...row.signals.keys()].join("\n").toLowerCase();
  return words.every((word) => where.includes(word));
}

export function labelOf(id: number, extended: boolean): string {
  const digits = id.toString(16).toUpperCase();
  return extended ? `${digits.padStart(8, "0")}x` : `0x${digits.padStart(3, "0")}`;
}

export function hex(octet: number): string {
  return octet.toString(16).toUpperCase().padStart(2, "0");
}

export function isOld(row: Pick<Row, "at" | "periodMs">, now: number): boolean {
  return now - row.at > Math.max(CURRENT_MS, 3 * (row.periodMs ?? 0));
}

/** One octet: what it is, and whether it has just changed. `turn` is another one with every change. */
export interface Octet {
  text: string;
  changed: boolean;
  turn: 0 | 1;
}

export interface ShownSignal {
  name: string;
  signal: Signal;
  oldS: number | null;
}

export interface Shown {
  name: string;
  octets: Octet[];
  remote: boolean;
  fd: boolean;
  signals: ShownSignal[];
  error: string;
  count: number | null;
  periodMs: number | null;
  missing: boolean;
  /** Seconds since it came, if it is not current. */
  oldS: number | null;
}

export function shown(row: Row, now: number, isStale: boolean, before: Shown | null = null): Shown {
  return {
    name: row.name,
    octets: row.data.map((octet, place) => octetOf(hex(octet), row.changedAt[place] ?? 0, now, before?.octets[place])),
    remote: row.remote,
    fd: row.fd,
    signals: [...row.signals].map(([name, { signal, at }]) => ({ name, signal, oldS: oldSignalS(at, row.periodMs, now) })),
    error: row.error,
    count: row.count,
    periodMs: row.periodMs,
    missing: row.missing,
    oldS: isStale || isOld(row, now) ? Math.floor((now - row.at) / 1000) : null,
  };
}

function oldSignalS(at: number, periodMs: number | null, now: number): number | null {
  return now - at > Math.max(CURRENT_SIGNAL_MS, 10 * (periodMs ?? 0)) ? Math.floor((now - at) / 1000) : null;
}

function octetOf(text: string, changedAt: number, now: number, before: Octet | undefined): Octet {
  const turn = before === undefined || before.text === text ? (before?.turn ?? 0) : before.turn === 0 ? 1 : 0;
  return { text, changed: changedAt > 0 && now - changedAt < MARK_MS, turn };
}

/** A choice with its number, or a number with as many digits as its scale has. */
export function valueText(signal: Signal, format: (value: number, digits: number) => string): string {
  const { value, raw } = signal;
  if (typeof value === "string") return raw === undefined ? value : `${value} (${raw})`;
  return format(value, digitsOf(signal));
}

export function digitsOf({ scale = 0, offset = 0, raw = 0 }: Pick<Signal, "scale" | "offset" | "raw">): number {
  return Math.max(decimals(scale), decimals(offset), Number.isInteger(raw) ? 0 : 3);
}

/** 0.01 → 2; what a binary fraction has beyond six figures is none of the file's. */
function decimals(value: number): number {
  const [mantissa = "", exponent = "0"] = String(Number(value.toPrecision(6))).split("e-");
  return Math.min(9, Number(exponent) + (mantissa.split(".")[1] ?? "").length);
}

function keyOf(id: number, extended: boolean): string {
  return extended ? `${id}x` : String(id);
}

function emptyRow({ id, is_extended: extended }: CanFrame, key: string): Row {
  const known = { key, id, extended, label: labelOf(id, extended), name: "", data: [], changedAt: [] };
  const flags = { remote: false, fd: false, missing: false, error: "", signals: new Map<string, Kept>() };
  return { ...known, ...flags, at: 0, seen: 0, count: null, periodMs: null };
}
