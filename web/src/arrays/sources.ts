/** What can be shown live: what the listener tells of, the signals of its DBC files among it. */

import { computed, signal } from "@preact/signals";
import { api, bench } from "../bench";
import { get } from "../rest";
import { DEMO } from "./stream";

export interface Source {
  source: string;
  /** For an array: what it is called; for a signal: without its bus. */
  name?: string;
  unit?: string;
}

/** Signals of each bus. */
export type Groups = Record<string, Source[]>;

interface Told {
  sources: Source[];
  /** Of the signals not all are listed. */
  more_signals: boolean;
}

const SENSOR: Source[] = [{ source: "les02.position", unit: "mm" }];
const MOTION: Source[] = [
  { source: "les02.velocity", unit: "mm/s" },
  { source: "les02.acceleration", unit: "mm/s²" },
];
const SIGNAL = "signal:";

export const told = signal<Told | null>(null);
/** The list could not be read, and may be old. */
export const unknown = signal(false);
export const signals = computed<Groups>(() => signalsOf(known()));

/** Without the REST API what is known anyway. */
export function known(): Source[] {
  return told.value?.sources ?? [{ source: DEMO }, ...SENSOR, ...(bench.value.parts.has("rides") ? MOTION : [])];
}

/** A packet does not say it. */
export function unitOf(source: string): string {
  return known().find((each) => each.source === source)?.unit ?? "";
}

export async function readSources(): Promise<void> {
  if (api.value === "") return;
  try {
    told.value = await get<Told>("/sources");
    unknown.value = false;
  } catch {
    unknown.value = true;
  }
}

export function signalsOf(sources: Source[]): Groups {
  const groups: Groups = {};
  for (const each of sources) {
    if (!each.source.startsWith(SIGNAL)) continue;
    const [bus = "", ...names] = each.source.slice(SIGNAL.length).split(".");
    (groups[bus] ??= []).push({ ...each, name: names.join(".") });
  }
  return groups;
}
