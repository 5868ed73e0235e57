/**
 * The board of watched signals: what is on it, what has been heard of it, and what that means.
 *
 * Pure. Moments are milliseconds of a steady clock. A signal is known by bus, message and name, since
 * identifiers differ with J1939's addresses.
 *
 * 1. Limits are the own ones, else those of the DBC file, each end by itself.
 * 2. A value is old when three cycles have passed without it, and two seconds at least.
 * 3. Lowest, highest and mean of a group are those of the members that are not old; how many are is told.
 */

import type { CanFrame, Signal } from "./stream";
import type { DbcMessage, DbcSignal } from "./signal_form";

export type View = "gauge" | "curve" | "group";

export interface Item {
  bus: string;
  view: View;
  /** "" of a group: any message. */
  message: string;
  /** A name, or the pattern of a group: `Cell*`. */
  signal: string;
  low: number | null;
  high: number | null;
}

export interface Reading {
  value: number;
  /** Of a choice. */
  text: string | null;
  at: number;
}

export interface Limits {
  low: number | null;
  high: number | null;
}

export type Place = "inside" | "below" | "above";

/** A signal that is watched, as the files describe it. */
export interface Watched {
  bus: string;
  message: DbcMessage;
  signal: DbcSignal;
}

export const ITEMS_MAX = 100;
const OLD_MS = 2000;
const CYCLES = 3;
/** The listener is asked at least so often; a value is as much older when it arrives. */
const BETWEEN_MS = 500;

export function keyOf(bus: string, message: string, signal: string): string {
  return `${bus}\n${message}\n${signal}`;
}

export const keyOfWatched = ({ bus, message, signal }: Watched): string => keyOf(bus, message.name, signal.name);

/** `*` is any text, `?` any letter; case does not matter. */
export function matches(pattern: string, name: string): boolean {
  const expression = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".");
  return new RegExp(`^${expression}$`, "i").test(name);
}

const natural = new Intl.Collator("en", { numeric: true });

/** What of the files' signals an item is about; Cell2 before Cell10. */
export function membersOf(item: Item, messages: readonly DbcMessage[]): Watched[] {
  const isMember = (name: string) => (item.view === "group" ? matches(item.signal, name) : name === item.signal);
  return messages
    .filter((message) => item.message === "" || message.name === item.message)
    .flatMap((message) =>
      message.signals.filter((signal) => isMember(signal.name)).map((signal) => ({ bus: item.bus, message, signal })),
    )
    .sort((one, other) => natural.compare(one.signal.name, other.signal.name));
}

/** Those whose name or message contains it; a pattern is taken as such. */
export function search(messages: readonly DbcMessage[], text: string): { message: DbcMessage; signal: DbcSignal }[] {
  const wanted = text.trim();
  const pattern = /[*?]/.test(wanted) ? wanted : `*${wanted}*`;
  return messages.flatMap((message) =>
    message.signals
      .filter((signal) => matches(pattern, signal.name) || matches(pattern, message.name))
      .map((signal) => ({ message, signal })),
  );
}

/** What many signals of the files have in common before a number: Cell1, Cell2 → Cell*. */
export function patternsIn(messages: readonly DbcMessage[], least = 2): { pattern: string; count: number }[] {
  const names = messages.flatMap((message) => message.signals.map((signal) => signal.name));
  const stems = names.map((name) => /^(.*?[A-Za-z_])\d+\w{0,3}$/.exec(name)?.[1]).filter((stem) => stem !== undefined);
  return [...new Set(stems)]
    .map((stem) => ({ pattern: `${stem}*`, count: names.filter((name) => matches(`${stem}*`, name)).length }))
    .filter(({ count }) => count >= least)
    .sort((one, other) => other.count - one.count || natural.compare(one.pattern, other.pattern));
}

/** Changes `readings` in place; what has a text and no number counts by its raw value. */
export function hear(readings: Map<string, Reading>, frame: CanFrame, bus: string, at: number): string[] {
  const heard: string[] = [];
  for (const [name, signal] of Object.entries(frame.decoded?.signals ?? {})) {
    const reading = readingOf(signal, at);
    if (reading === null) continue;
    const key = keyOf(bus, frame.decoded!.message_name, name);
    readings.set(key, reading);
    heard.push(key);
  }
  return heard;
}

function readingOf(signal: Signal & { scale?: number; offset?: number }, at: number): Reading | null {
  if (typeof signal.value === "number") return { value: signal.value, text: null, at };
  if (typeof signal.value !== "string" || typeof signal.raw !== "number") return null;
  return { value: signal.raw * (signal.scale ?? 1) + (signal.offset ?? 0), text: signal.value, at };
}

export function limitsOf(item: Pick<Item, "low" | "high">, { signal }: Watched): Limits {
  return { low: item.low ?? signal.minimum, high: item.high ?? signal.maximum };
}

export function placeOf(value: number, { low, high }: Limits): Place {
  if (low !== null && value < low) return "below";
  return high !== null && value > high ? "above" : "inside";
}

/** Between the limits: 0 at the low one, 1 at the high one, and not beyond. Null without both. */
export function shareOf(value: number, { low, high }: Limits): number | null {
  if (low === null || high === null || high <= low) return null;
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

export function isOld(reading: Reading, { message }: Watched, now: number): boolean {
  return now - reading.at > Math.max(OLD_MS, CYCLES * (message.cycle_time_ms ?? 0) + BETWEEN_MS);
}

export interface Member {
  watched: Watched;
  reading: Reading | null;
  old: boolean;
  place: Place;
}

export interface Group {
  members: Member[];
  lowest: Member | null;
  highest: Member | null;
  mean: number | null;
  /** Heard never, or not for a while. */
  old: number;
  outside: Member[];
}

export function memberOf(item: Item, watched: Watched, readings: ReadonlyMap<string, Reading>, now: number): Member {
  const reading = readings.get(keyOfWatched(watched)) ?? null;
  const place = reading === null ? "inside" : placeOf(reading.value, limitsOf(item, watched));
  return { watched, reading, old: reading === null || isOld(reading, watched, now), place };
}

export function groupOf(members: Member[]): Group {
  const current = members.filter((member) => !member.old);
  const sorted = [...current].sort((one, other) => one.reading!.value - other.reading!.value);
  const sum = current.reduce((total, member) => total + member.reading!.value, 0);
  return {
    members,
    lowest: sorted[0] ?? null,
    highest: sorted.at(-1) ?? null,
    mean: current.length ? sum / current.length : null,
    old: members.length - current.length,
    outside: current.filter((member) => member.place !== "inside"),
  };
}

/** So many digits as one step of it can be told by. */
export function digitsOf({ scale, is_float }: Pick<DbcSignal, "scale" | "is_float">): number {
  if (is_float) return 2;
  const written = Math.abs(scale).toString();
  if (written.includes("e-")) return 4;
  return Math.min(written.split(".")[1]?.length ?? 0, 4);
}
