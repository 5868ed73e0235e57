/**
 * What other devices said during a ride, beside its curve: each signal with times of its own.
 *
 * Pure. Nothing is interpolated between what was told: a value holds for two of the signal's usual periods,
 * as in `lesrides export --csv`; after that nothing is known, and nothing is drawn.
 */

import type { Columns, Look } from "./plot";
import type { Phase, Track, Tracks } from "./protocol";

const PERIODS = 2;
const ALONE_US = 1e6;
const MICRO = 1e6;

export function holdUs(track: Track): number {
  const times = track.offsets_us;
  if (times.length < 2) return ALONE_US;
  const apart = times.slice(1).map((us, index) => us - times[index]!).sort((a, b) => a - b);
  const middle = apart.length >> 1;
  return PERIODS * (apart.length % 2 ? apart[middle]! : (apart[middle - 1]! + apart[middle]!) / 2);
}

/** The last value at any moment; null where it is too old. */
export function held(track: Track): (us: number) => number | null {
  const hold = holdUs(track);
  const times = track.offsets_us;
  return (us) => {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle]! <= us) low = middle + 1;
      else high = middle;
    }
    return low === 0 || us - times[low - 1]! > hold ? null : track.values[low - 1]!;
  };
}

/** Seconds and values; where nothing is known, a gap. */
export function ofTrack(track: Track): Columns {
  const hold = holdUs(track);
  const times: number[] = [];
  const values: (number | null)[] = [];
  track.offsets_us.forEach((us, index) => {
    const before = track.offsets_us[index - 1];
    if (before !== undefined && us - before > hold) {
      times.push((before + hold) / MICRO);
      values.push(null);
    }
    times.push(us / MICRO);
    values.push(track.values[index]!);
  });
  return [times, values];
}

/** Several at all moments at which one of them told something. */
export function besideTracks(tracks: Track[]): Columns {
  const times = [...new Set(tracks.flatMap((track) => track.offsets_us))].sort((a, b) => a - b);
  return [times.map((us) => us / MICRO), ...tracks.map((track) => times.map(held(track)))];
}

/** On the time axis of the curves above: what is outside is left out. */
export function alongside([times = [], ...values]: Columns, [from, to]: [number, number]): Columns {
  const inside = times.map((time) => time !== null && time >= from && time <= to);
  const kept = (column: (number | null)[]) => column.filter((_, index) => inside[index]);
  return [[from, ...kept(times), to], ...values.map((column) => [null, ...kept(column), null])];
}

export interface Range {
  mean: number;
  min: number;
  max: number;
}

/** Of what was told in that time. */
export function within(track: Track, beginS: number, endS: number): Range | null {
  const [begin, end] = [Math.round(beginS * MICRO), Math.round(endS * MICRO)];
  const values = track.values.filter((_, index) => track.offsets_us[index]! >= begin && track.offsets_us[index]! < end);
  if (values.length === 0) return null;
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    min: values.reduce((least, value) => Math.min(least, value)),
    max: values.reduce((most, value) => Math.max(most, value)),
  };
}

const WORDS_MAX = 6;

/** What was told in that time, in its order: for a signal whose values are words. */
export function wordsWithin(track: Track, beginS: number, endS: number): string[] {
  const [begin, end] = [Math.round(beginS * MICRO), Math.round(endS * MICRO)];
  const values = track.values.filter((_, index) => track.offsets_us[index]! >= begin && track.offsets_us[index]! < end);
  const told = values.filter((value, index) => index === 0 || value !== values[index - 1]).map((value) => track.words[String(value)] ?? String(value));
  return told.length > WORDS_MAX ? [...told.slice(0, WORDS_MAX - 1), "…"] : told;
}

/** As short as they can be told apart: bus.message.signal is long. */
export function shortNames(names: string[]): Record<string, string> {
  const tail = (name: string, parts: number) => name.split(".").slice(-parts).join(".");
  return Object.fromEntries(
    names.map((name) => {
      const parts = [1, 2].find((count) => names.filter((other) => tail(other, count) === tail(name, count)).length === 1);
      return [name, tail(name, parts ?? 3)];
    }),
  );
}

export function digitsOf(values: number[]): number {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (values.every(Number.isInteger)) return 0;
  return largest >= 1000 ? 0 : largest >= 100 ? 1 : largest >= 1 ? 2 : 3;
}

/** There is little room beside an axis. */
export function axisTitle(name: string, unit: string): string {
  return `${name.split(".").pop()!.slice(0, 16)} ${unit}`.trim();
}

/** Words are drawn as steps: between two of them there is nothing. */
export function lookOf(name: string, track: Track, xTitle: string, phases?: Phase[]): Look {
  const words = Object.keys(track.words).length > 0;
  const digits = digitsOf(track.values);
  return {
    title: axisTitle(name, track.unit),
    xTitle,
    leastSpan: words ? 1 : 10 ** (1 - digits),
    ...(phases ? { phases } : {}),
    lines: [
      { label: name, color: "--curve-3", unit: track.unit, digits, ...(words ? { words: track.words, step: true } : {}) },
    ],
  };
}

/** Behind the columns of a curve, as `lesrides export --csv` writes them. */
export function trackColumns(tracks: Tracks): { header: string[]; cells: (us: number) => string[] } {
  const columns = Object.values(tracks).map(held);
  return {
    header: Object.entries(tracks).map(([name, { unit }]) => (unit ? `${name} (${unit})` : name).replace(/[,;\s"']+/g, "_")),
    cells: (us) => columns.map((at) => at(us)).map((value) => (value === null ? "" : String(Number(value.toPrecision(10))))),
  };
}
