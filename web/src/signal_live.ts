/**
 * The signals of now, over a connection of their own while they are looked at: of each the newest, so often
 * as a screen can show it, whatever the device says.
 */

import { address } from "./bench";
import { Connection } from "./connection";
import type { Envelope } from "./protocol";
import { Series } from "./series";

const WANTED = "types=signal_sample&rate=20";
/** Ten minutes. */
const SAMPLES = 12_000;
/** Between two values that are farther apart nothing is drawn; and so old is a value that is shown as none. */
export const OLD_S = 5;

export interface LiveSignal {
  series: Series;
  unit: string;
  value: number;
  text: string;
  at: number; // of this computer's clock
}

export const heardSignals = new Map<string, LiveSignal>();

/** Returns what ends it. What was heard stays. */
export function listen(): () => void {
  const connection = new Connection({ address: () => address(WANTED), heard, changed: () => undefined });
  return () => connection.close();
}

function heard(event: Envelope): void {
  if (event.type !== "signal_sample") return;
  const { channel, value, unit, text } = event.payload as { channel: string; value: number; unit: string; text?: string };
  const known = heardSignals.get(channel) ?? { series: new Series(SAMPLES, 2, OLD_S), unit, value, text: "", at: 0 };
  known.series.push(event.ts, value);
  heardSignals.set(channel, { ...known, unit, value, text: text ?? "", at: performance.now() });
}
