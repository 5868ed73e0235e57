/**
 * A frame as somebody types it: identifier and octets, and what is wrong with them.
 *
 * Pure: texts in, a number or octets out, or the key of the sentence that says what is wrong.
 */

import type { Args, Key } from "../i18n";

export interface Problem {
  key: Key;
  args?: Args;
}

export type Checked<T> = { value: T; problem?: undefined } | { value?: undefined; problem: Problem };

export interface FrameTexts {
  id: string;
  base: 16 | 10;
  data: string;
  /** Of a remote frame, which has no data: how much it asks for. */
  length: string;
  extended: boolean;
  remote: boolean;
  fd: boolean;
}

/** As the listener's API takes it. */
export interface Frame {
  can_id: number;
  data: number[];
  is_extended: boolean;
  is_remote: boolean;
  is_fd: boolean;
}

export const STANDARD_MAX = 0x7ff;
export const EXTENDED_MAX = 0x1fffffff;
const CLASSIC_MAX = 8;
const FD_LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64];

export function emptyFrame(): FrameTexts {
  return { id: "", base: 16, data: "", length: "0", extended: false, remote: false, fd: false };
}

/** `0x` says hexadecimal whatever was chosen. */
export function parseId(text: string, base: 16 | 10, extended: boolean): Checked<number> {
  const typed = text.trim();
  if (!typed) return { problem: { key: "wb_id_missing" } };
  const hex = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(typed);
  const isHex = base === 16 || /^0x/i.test(typed);
  if (isHex ? !hex : !/^\d{1,16}$/.test(typed)) {
    return { problem: { key: isHex ? "wb_id_no_hex" : "wb_id_no_decimal" } };
  }
  const value = isHex ? parseInt(hex![1]!, 16) : Number(typed);
  if (value > EXTENDED_MAX) return { problem: { key: "wb_id_above_extended" } };
  if (value > STANDARD_MAX && !extended) return { problem: { key: "wb_id_above_standard" } };
  return { value };
}

/** "01 A2 3", "01A23F", "0x01,0xA2". */
export function parseOctets(text: string, fd: boolean): Checked<number[]> {
  const octets: number[] = [];
  for (const typed of text.split(/[\s,;]+/).filter(Boolean)) {
    const digits = typed.replace(/^0x/i, "");
    if (!/^[0-9a-f]+$/i.test(digits)) return { problem: { key: "wb_data_no_hex", args: { text: typed.slice(0, 20) } } };
    if (digits.length % 2 && digits.length > 1) return { problem: { key: "wb_data_odd", args: { text: typed.slice(0, 20) } } };
    for (let at = 0; at < digits.length; at += 2) octets.push(parseInt(digits.slice(at, at + 2), 16));
  }
  const most = fd ? 64 : CLASSIC_MAX;
  if (octets.length > most) {
    return { problem: { key: fd ? "wb_data_too_long_fd" : "wb_data_too_long", args: { count: octets.length } } };
  }
  if (!FD_LENGTHS.includes(octets.length)) {
    const next = FD_LENGTHS.find((length) => length > octets.length)!;
    return { problem: { key: "wb_data_no_fd_length", args: { count: octets.length, next } } };
  }
  return { value: octets };
}

export function parseLength(text: string): Checked<number> {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  return value <= CLASSIC_MAX ? { value } : { problem: { key: "wb_length_wrong" } };
}

export interface CheckedFrame {
  frame: Frame | null;
  problems: Partial<Record<"id" | "data" | "length", Problem>>;
}

export function checkFrame(texts: FrameTexts): CheckedFrame {
  const id = parseId(texts.id, texts.base, texts.extended);
  const isFd = texts.fd && !texts.remote;
  const length = parseLength(texts.length);
  const data: Checked<number[]> = !texts.remote
    ? parseOctets(texts.data, isFd)
    : { value: Array<number>(length.value ?? 0).fill(0) };
  const problems: CheckedFrame["problems"] = {};
  if (id.problem) problems.id = id.problem;
  if (data.problem) problems.data = data.problem;
  if (texts.remote && length.problem) problems.length = length.problem;
  if (id.problem || data.problem || problems.length) return { frame: null, problems };
  const frame = { can_id: id.value, data: data.value, is_extended: texts.extended, is_remote: texts.remote, is_fd: isFd };
  return { frame, problems };
}

/** 1 ms … 1 h; a comma is taken as well. */
export function parsePeriod(text: string): Checked<number> {
  const value = parseNumber(text);
  return value !== null && value >= 1 && value <= 3_600_000 ? { value } : { problem: { key: "wb_period_wrong" } };
}

/** Null: it is none. German commas, and what spreadsheets write. */
export function parseNumber(text: string): number | null {
  const typed = text.trim().replace(",", ".");
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(typed)) return null;
  const value = Number(typed);
  return Number.isFinite(value) ? value : null;
}

export function idText(id: number, extended: boolean): string {
  return extended ? `${hex(id, 8)}x` : `0x${hex(id, 3)}`;
}

export function octetsText(data: readonly number[]): string {
  return data.map((octet) => hex(octet, 2)).join(" ");
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
