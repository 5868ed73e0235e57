/** The board as a text: kept by the browser, and carried to another one as a small file. Pure. */

import type { Item, View } from "./board";
import { ITEMS_MAX } from "./board";

const VIEWS: readonly View[] = ["gauge", "curve", "group"];
const NAME_MAX = 256;

export function boardText(items: readonly Item[]): string {
  return JSON.stringify({ les02_board: 1, items }, null, 1);
}

/** Null: this is no board. What is not understood of one is left out. */
export function boardOf(text: string): Item[] | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  const items = (found as { les02_board?: unknown; items?: unknown } | null)?.items;
  if ((found as { les02_board?: unknown } | null)?.les02_board !== 1 || !Array.isArray(items)) return null;
  return items.map(itemOf).filter((item) => item !== null).slice(0, ITEMS_MAX);
}

function itemOf(given: unknown): Item | null {
  if (typeof given !== "object" || given === null) return null;
  const { bus, view, message, signal, low = null, high = null } = given as Record<string, unknown>;
  const known = VIEWS.find((each) => each === view);
  if (!known || !isName(bus) || !isName(signal) || typeof message !== "string" || message.length > NAME_MAX) return null;
  if (known !== "group" && !message) return null;
  return { bus, view: known, message, signal, low: limit(low), high: limit(high) };
}

const isName = (given: unknown): given is string =>
  typeof given === "string" && given.length > 0 && given.length <= NAME_MAX;

const limit = (given: unknown): number | null => (typeof given === "number" && Number.isFinite(given) ? given : null);
