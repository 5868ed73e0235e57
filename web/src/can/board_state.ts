/** The board of this browser: what is on it, what has come of it, and the connection over which it comes. */

import { signal } from "@preact/signals";
import { Series } from "../series";
import { keep, recall } from "../settings";
import type { Item, Reading, Watched } from "./board";
import { hear, ITEMS_MAX, keyOfWatched } from "./board";
import { boardOf, boardText } from "./board_file";
import { idsText, isMultiplexed } from "./board_ids";
import type { DbcMessage } from "./signal_form";
import { SHOWN_S } from "./curve";
import type { CanFrame } from "./stream";
import { CanStream } from "./stream";

/** Values are read, not counted; ten a second are more than anybody reads. */
const RATE_HZ = 10;
const NAME = "board";

export const items = signal<readonly Item[]>(boardOf(recall(NAME)) ?? []);
export const readings = new Map<string, Reading>();
const curves = new Map<string, Series>();
let wanted: ReadonlySet<string> = new Set();

export function changeItems(next: readonly Item[]): void {
  items.value = next.slice(0, ITEMS_MAX);
  keep(NAME, boardText(items.value));
}

export function curveOf(key: string): Series {
  const known = curves.get(key) ?? new Series(RATE_HZ * SHOWN_S, 2, 2.5);
  curves.set(key, known);
  return known;
}

/** Both are there only while something needs them. */
const streams: { plain: CanStream | null; multiplexed: CanStream | null } = { plain: null, multiplexed: null };
const asked = { plain: "", multiplexed: "" };

/** Why something that is watched does not arrive; null while it does, or was not waited for yet. */
export const lost = signal<Readonly<Record<keyof typeof streams, string | null>>>({ plain: null, multiplexed: null });
/** Another board was read: nothing that was typed into the cards of the last one is true. */
export const generation = signal(0);

/** From now on these are heard, and nothing else; none closes the connection. */
export function watch(watched: readonly Watched[]): void {
  wanted = new Set(watched.map(keyOfWatched));
  for (const key of readings.keys()) if (!wanted.has(key)) readings.delete(key);
  for (const key of curves.keys()) if (!wanted.has(key)) curves.delete(key);
  const messages = [...new Set(watched.map(({ message }) => message))];
  ask("plain", messages.filter((message) => !isMultiplexed(message)), { rate: RATE_HZ });
  ask("multiplexed", messages.filter(isMultiplexed), {});
}

function ask(which: keyof typeof streams, messages: readonly DbcMessage[], more: Record<string, number>): void {
  const ids = messages.length ? idsText(messages) : "";
  const { [which]: stream } = streams;
  if (ids === asked[which]) return;
  asked[which] = ids;
  if (ids === "") {
    stream?.close();
    streams[which] = null;
    lost.value = { ...lost.value, [which]: null };
  } else if (stream) stream.again();
  else {
    const made = new CanStream({ query: () => ({ bus: "*", ids: asked[which], ...more }), frame: heard });
    streams[which] = made;
    made.link.subscribe((link) => {
      if (streams[which] !== made || link.state === "connecting") return; // until it is known whether it succeeds
      lost.value = { ...lost.value, [which]: link.state === "open" ? null : link.reason };
    });
  }
}

function heard(frame: CanFrame): void {
  if (!frame.decoded || !frame.bus) return;
  const at = performance.now();
  const found = new Map<string, Reading>();
  for (const key of hear(found, frame, frame.bus, at)) {
    if (!wanted.has(key)) continue;
    const reading = found.get(key)!;
    readings.set(key, reading);
    const curve = curves.get(key);
    if (curve && at / 1000 - (curve.lastTime ?? 0) >= 0.9 / RATE_HZ) curve.push(at / 1000, reading.value);
  }
}
