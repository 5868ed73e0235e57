/** What can be shown live: what the listener tells of, and the signals of its DBC files if it has any. */

import { signal } from "@preact/signals";
import { api, bench } from "../bench";
import { get } from "../rest";
import { DEMO } from "./stream";

export interface Source {
  source: string;
  /** For an array: what it is called. */
  name?: string;
  unit?: string;
}

/** `sensor`, `arrays`, or the name of a bus. */
export type Groups = Record<string, Source[]>;

interface Bus {
  name: string;
  dbc: string[];
}

interface Message {
  name: string;
  signals: { name: string; unit: string | null }[];
}

const SENSOR: Source[] = [{ source: "les02.position", unit: "mm" }];
const MOTION: Source[] = [
  { source: "les02.velocity", unit: "mm/s" },
  { source: "les02.acceleration", unit: "mm/s²" },
];

export const told = signal<Source[] | null>(null);
export const signals = signal<Groups>({});
/** The list could not be read, and may be old. */
export const unknown = signal(false);

/** Without the REST API what is known anyway. */
export function known(): Source[] {
  return told.value ?? [{ source: DEMO }, ...SENSOR, ...(bench.value.parts.has("rides") ? MOTION : [])];
}

/** A packet does not say it, and a signal's status only when one has come. */
export function unitOf(source: string): string {
  const all = [...known(), ...Object.values(signals.value).flat()];
  return all.find((each) => each.source === source)?.unit ?? "";
}

export async function readSources(): Promise<void> {
  if (api.value === "") return;
  try {
    told.value = (await get<{ sources: Source[] }>("/sources")).sources;
    if (bench.value.parts.has("workbench")) signals.value = await readSignals();
    unknown.value = false;
  } catch {
    unknown.value = true;
  }
}

async function readSignals(): Promise<Groups> {
  const buses = (await get<Bus[]>("/buses")).filter(({ dbc }) => dbc.length > 0);
  const found = await Promise.all(
    buses.map(async ({ name: bus }) => {
      const { messages } = await get<{ messages: Message[] }>("/dbc/messages", { bus });
      return [bus, signalsOf(bus, messages)] as const;
    }),
  );
  return Object.fromEntries(found);
}

/** As `/ws/stream` wants them named; a point in a name would be taken for one between names. */
export function signalsOf(bus: string, messages: Message[]): Source[] {
  const names = new Map<string, Source>();
  for (const message of messages) {
    for (const { name, unit } of message.signals) {
      const source = `signal:${bus}.${message.name}.${name}`;
      if (!message.name.includes(".") && !name.includes(".")) names.set(source, { source, name: `${message.name}.${name}`, unit: unit ?? "" });
    }
  }
  return [...names.values()].sort((one, other) => (one.name ?? "").localeCompare(other.name ?? ""));
}
