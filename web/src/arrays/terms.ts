/** Which source is watched, on which terms; kept by the browser. */

import { signal } from "@preact/signals";
import { keep, recall } from "../settings";
import type { Wanted } from "./stream";
import { DEMO } from "./stream";

export const WINDOWS = [100, 200, 500, 1000, 2000, 5000, 10_000];
export const RATES = [1, 2, 5, 10, 20, 50];
export const SPANS = [5, 10, 20, 50, 100, 200, 500];
/** An array crosses the picture in so many packets. */
const PIECES = 50;

export interface Terms {
  source: string;
  /** Points that are shown. */
  window: number;
  /** Packets a second. */
  rate: number;
  /** Points of which the mean is taken. */
  span: number;
  loop: boolean;
}

const USUAL: Terms = { source: DEMO, window: 500, rate: 20, span: 20, loop: false };

export const terms = signal<Terms>(read(recall("stream")));

export function choose(what: Partial<Terms>): void {
  terms.value = { ...terms.value, ...what };
  keep("stream", JSON.stringify(terms.value));
}

/** Whatever is in the browser's drawer. */
export function read(kept: string): Terms {
  try {
    const { source, window, rate, span, loop } = JSON.parse(kept || "{}") as Record<string, unknown>;
    return {
      source: typeof source === "string" && source ? source : USUAL.source,
      window: WINDOWS.find((each) => each === window) ?? USUAL.window,
      rate: RATES.find((each) => each === rate) ?? USUAL.rate,
      span: SPANS.find((each) => each === span) ?? USUAL.span,
      loop: loop === true,
    };
  } catch {
    return USUAL;
  }
}

export function isArray(source: string): boolean {
  return source.startsWith("array:");
}

/** What is asked of `/ws/stream`. */
export function wantedOf({ source, window, rate, loop }: Terms): Wanted {
  if (!isArray(source)) return { source, window, rate };
  return { source, window: Math.max(1, Math.round(window / PIECES)), rate, loop };
}
