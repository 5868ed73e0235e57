/**
 * A message of the DBC files as a form: a field for each signal that its multiplexers select, checked.
 *
 * Pure but for the language in which a limit is written. What a field holds is a text: a number as it is typed, or `=TEXT`, a choice of the file.
 */

import { exact } from "./figures";
import { parseNumber } from "./frame_form";
import type { Problem } from "./frame_form";

/** As `GET /dbc/messages` has them; initial and choices are raw values. */
export interface DbcSignal {
  name: string;
  length: number;
  scale: number;
  offset: number;
  minimum: number | null;
  maximum: number | null;
  unit: string | null;
  choices: Record<string, string> | null;
  is_signed: boolean;
  is_float: boolean;
  initial: number | null;
  is_multiplexer: boolean;
  multiplexer_signal: string | null;
  multiplexer_ids: number[] | null;
  comment: string | null;
}

export interface DbcMessage {
  name: string;
  frame_id: number;
  is_extended: boolean;
  is_fd: boolean;
  length: number;
  protocol: string | null;
  cycle_time_ms: number | null;
  comment: string | null;
  signals: DbcSignal[];
}

export type Texts = Record<string, string>;
export type Values = Record<string, number | string>;

const CHOICE = "=";
/** A value may be beyond its bound by rounding, in steps of the raw value; the listener allows as much. */
const TOLERANCE = 1e-6;

export function choice(text: string): string {
  return CHOICE + text;
}

export function isChoice(text: string): boolean {
  return text.startsWith(CHOICE);
}

/** What is there before anybody has typed: the file's initial value, else what is nearest to 0. */
export function initialTexts(message: DbcMessage): Texts {
  return Object.fromEntries(message.signals.map((signal) => [signal.name, initialText(message, signal)]));
}

function initialText(message: DbcMessage, signal: DbcSignal): string {
  const selectable = selections(message, signal);
  if (selectable.length) {
    const initial = signal.initial ?? 0;
    return textOf(signal, selectable.includes(initial) ? initial : selectable[0]!);
  }
  if (signal.initial !== null) return textOf(signal, signal.initial);
  const nearest = Math.min(Math.max(0, signal.minimum ?? 0), signal.maximum ?? Infinity);
  const raw = Math.round((nearest - signal.offset) / signal.scale);
  return signal.choices?.[raw] !== undefined ? choice(signal.choices[raw]) : String(nearest);
}

export function textOf(signal: DbcSignal, raw: number): string {
  const named = signal.choices?.[String(raw)];
  return named === undefined ? String(clean(raw * signal.scale + signal.offset)) : choice(named);
}

/** 0.1 * 3 is 0.3 for people. */
function clean(value: number): number {
  return Number(value.toPrecision(12));
}

/** The raw values by which this signal selects others; none if it is no multiplexer. */
export function selections(message: DbcMessage, signal: DbcSignal): number[] {
  const ids = message.signals
    .filter((each) => each.multiplexer_signal === signal.name)
    .flatMap((each) => each.multiplexer_ids ?? []);
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** Of all signals those that are sent with these values, multiplexers before what they select. */
export function shownSignals(message: DbcMessage, texts: Texts): DbcSignal[] {
  const shown: DbcSignal[] = [];
  const raws = new Map<string, number | null>();
  let waiting = message.signals;
  while (waiting.length) {
    const isReady = ({ multiplexer_signal: by }: DbcSignal) => by === null || raws.has(by);
    const ready = waiting.filter(isReady);
    if (!ready.length) break; // selected by what is not there
    waiting = waiting.filter((signal) => !isReady(signal));
    for (const signal of ready) {
      const by = signal.multiplexer_signal;
      const selected = by === null || (signal.multiplexer_ids ?? []).includes(raws.get(by) ?? NaN);
      if (selected) shown.push(signal);
      raws.set(signal.name, selected ? rawOf(signal, texts[signal.name] ?? "") : null);
    }
  }
  return shown;
}

function rawOf(signal: DbcSignal, text: string): number | null {
  if (isChoice(text)) {
    const named = Object.entries(signal.choices ?? {}).find(([, name]) => choice(name) === text);
    return named ? Number(named[0]) : null;
  }
  const value = parseNumber(text);
  return value === null ? null : Math.round((value - signal.offset) / signal.scale);
}

export interface CheckedSignals {
  /** Null while something is wrong. */
  values: Values | null;
  problems: Record<string, Problem>;
}

export function checkSignals(message: DbcMessage, texts: Texts): CheckedSignals {
  const values: Values = {};
  const problems: Record<string, Problem> = {};
  for (const signal of shownSignals(message, texts)) {
    const text = texts[signal.name] ?? "";
    const problem = problemOf(signal, text);
    if (problem) problems[signal.name] = problem;
    else values[signal.name] = isChoice(text) ? text.slice(CHOICE.length) : parseNumber(text)!;
  }
  return { values: Object.keys(problems).length ? null : values, problems };
}

function problemOf(signal: DbcSignal, text: string): Problem | null {
  if (isChoice(text)) return rawOf(signal, text) === null ? { key: "wb_signal_no_choice" } : null;
  const value = parseNumber(text);
  if (value === null) return { key: "wb_signal_no_number" };
  const tolerance = Math.abs(signal.scale) * TOLERANCE;
  const { minimum, maximum, unit } = signal;
  if (minimum !== null && value < minimum - tolerance) {
    return { key: "wb_signal_below", args: { limit: `${exact(minimum)} ${unit ?? ""}`.trim() } };
  }
  if (maximum !== null && value > maximum + tolerance) {
    return { key: "wb_signal_above", args: { limit: `${exact(maximum)} ${unit ?? ""}`.trim() } };
  }
  const [low, high] = bounds(signal);
  const raw = Math.round((value - signal.offset) / signal.scale);
  if (!signal.is_float && (raw < low || raw > high)) {
    const ends = [low, high].map((end) => clean(end * signal.scale + signal.offset)).sort((a, b) => a - b);
    return { key: "wb_signal_does_not_fit", args: { low: exact(ends[0]!), high: exact(ends[1]!) } };
  }
  return null;
}

/** Raw. */
function bounds(signal: DbcSignal): [number, number] {
  return signal.is_signed
    ? [-(2 ** (signal.length - 1)), 2 ** (signal.length - 1) - 1]
    : [0, 2 ** signal.length - 1];
}

/** The listener's sentences ("Speed: 7000 is above 6000; …") by the field that they are about; "" is the rest. */
export function byField(reason: string, names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const sentence of reason.split("; ")) {
    const name = names.find((each) => sentence.startsWith(`${each}: `)) ?? "";
    const said = name ? sentence.slice(name.length + 2) : sentence;
    found[name] = found[name] ? `${found[name]}; ${said}` : said;
  }
  return found;
}
