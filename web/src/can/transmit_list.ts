/** What a transmit list holds, as the API has it: what is at its default is left out there. Pure. */

import type { Frame } from "./frame_form";
import { idText, octetsText } from "./frame_form";
import type { Wanted } from "./sending";
import type { Values } from "./signal_form";

export interface ListedFrame extends Partial<Frame> {
  message?: string;
  signals?: Values;
}

export interface Entry {
  frame: ListedFrame;
  label?: string;
  /** None: it is sent once. */
  period_ms?: number | null;
}

export interface TransmitList {
  name: string;
  frames: Entry[];
  description?: string;
}

export function entryOf(wanted: Wanted, periodMs: number | null): Entry {
  const cycle = periodMs === null ? {} : { period_ms: periodMs };
  if ("frame" in wanted) return { frame: wanted.frame, ...cycle };
  return { frame: { message: wanted.message, signals: wanted.signals }, label: wanted.message, ...cycle };
}

export function entryText({ frame }: Entry): string {
  if (frame.message !== undefined) {
    const values = Object.entries(frame.signals ?? {}).map(([name, value]) => `${name} ${value}`);
    return values.join(", ") || frame.message;
  }
  const { can_id = 0, is_extended = false, is_remote = false, data = [] } = frame;
  return `${idText(can_id, is_extended)} ${is_remote ? `[${data.length}] RTR` : octetsText(data)}`.trim();
}
