/**
 * Which frames the board asks for, as `/ws/can?ids=` takes it. Pure.
 *
 * With `rate` the newest frame of each identifier comes: of a multiplexed message that could be the same part
 * of it for ever. Such messages are asked for without one.
 */

import type { DbcMessage } from "./signal_form";

interface Range {
  first: number;
  last: number;
  extended: boolean;
}

const PRIORITIES = 8;
const PDU2 = 240;
/** What fits into the first line of a request, with room to spare. */
const TEXT_MAX = 3000;

export function isMultiplexed(message: DbcMessage): boolean {
  return message.signals.some((signal) => signal.multiplexer_signal !== null);
}

export function idsText(messages: readonly DbcMessage[], most = TEXT_MAX): string {
  const ranges = merged(messages.flatMap(rangesOf));
  const text = ranges.map(written).join(",");
  if (text.length <= most) return text;
  // Too many to be named: all between the lowest and the highest; the rest is not looked at here.
  return [false, true]
    .map((extended) => ranges.filter((range) => range.extended === extended))
    .filter((some) => some.length)
    .map((some) => written({ ...some[0]!, last: some.at(-1)!.last }))
    .join(",");
}

/** Of a J1939 message any priority and any source; where it has a destination, any of these. */
function rangesOf({ frame_id, is_extended, protocol }: DbcMessage): Range[] {
  if (protocol !== "j1939" || !is_extended) return [{ first: frame_id, last: frame_id, extended: is_extended }];
  const group = (frame_id >>> 8) & 0x3ffff;
  const hasDestination = ((group >> 8) & 0xff) < PDU2;
  const low = hasDestination ? (group & 0x3ff00) << 8 : group << 8;
  return Array.from({ length: PRIORITIES }, (_, priority) => {
    const first = priority * 2 ** 26 + low;
    return { first, last: first + (hasDestination ? 0xffff : 0xff), extended: true };
  });
}

function merged(ranges: Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => Number(a.extended) - Number(b.extended) || a.first - b.first);
  const found: Range[] = [];
  for (const range of sorted) {
    const before = found.at(-1);
    if (before && before.extended === range.extended && range.first <= before.last + 1) {
      before.last = Math.max(before.last, range.last);
    } else found.push({ ...range });
  }
  return found;
}

function written({ first, last, extended }: Range): string {
  const text = (id: number) => {
    const digits = id.toString(16).toUpperCase();
    return extended ? `${digits.padStart(8, "0")}x` : `0x${digits.padStart(3, "0")}`;
  };
  return first === last ? text(first) : `${text(first)}-${text(last)}`;
}
