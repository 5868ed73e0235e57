/**
 * A message as somebody types it, and what is wrong with it.
 *
 * Pure: texts in, what the REST API is asked for out, or the key of the sentence that says what is wrong.
 */

import type { Args, Key } from "../i18n";

/** Of text, or of the octets that are meant. */
export const OCTETS_MAX = 1024;

export interface Draft {
  /** "all", or an address. */
  to: string;
  how: "text" | "hex";
  typed: string;
  /** Its name, "" without one. */
  opcode: string;
  isImportant: boolean;
}

export interface Problem {
  key: Key;
  args?: Args;
}

export interface Message {
  path: string;
  body: Record<string, string | number | boolean>;
  octets: number;
}

export type Checked = { message: Message; problem?: undefined } | { message?: undefined; problem: Problem };

export const EMPTY: Draft = { to: "all", how: "text", typed: "", opcode: "", isImportant: false };
/** The network tries three times; longer nobody waits. */
export const WAIT_S = 10;

export function check({ to, how, typed, opcode, isImportant }: Draft): Checked {
  const isToAll = to === "all";
  const written = how === "text" ? { text: typed } : octetsOf(typed);
  if ("problem" in written) return { problem: written.problem };
  const octets = "text" in written ? new TextEncoder().encode(typed).length : written.payload.length / 2;
  if (octets === 0 && opcode === "") return { problem: { key: "ms_nothing_typed" } };
  if (octets > OCTETS_MAX) return { problem: { key: "ms_too_long", args: { count: octets, most: OCTETS_MAX } } };
  const body: Message["body"] = { ...written, ...(opcode && { opcode }) };
  if (!isToAll) Object.assign(body, { addr: Number(to), ...(isImportant && { important: true, wait_s: WAIT_S }) });
  return { message: { path: isToAll ? "/mesh/broadcast" : "/mesh/send", body, octets: octets + (opcode ? 1 : 0) } };
}

/** "01 A2 3", "01A23F", "0x01,0xA2". */
export function octetsOf(text: string): { payload: string } | { problem: Problem } {
  let payload = "";
  for (const typed of text.split(/[\s,;:]+/).filter(Boolean)) {
    const digits = typed.replace(/^0x/i, "");
    if (!/^[0-9a-f]+$/i.test(digits)) return { problem: { key: "ms_no_hex", args: { text: typed.slice(0, 20) } } };
    if (digits.length % 2 && digits.length > 1) return { problem: { key: "ms_odd_hex", args: { text: typed.slice(0, 20) } } };
    payload += digits.length === 1 ? `0${digits}` : digits;
  }
  return { payload: payload.toLowerCase() };
}
