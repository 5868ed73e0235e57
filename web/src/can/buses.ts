/**
 * Which buses there are and which one is looked at; one state for all views of the tab.
 *
 *     followBuses()        once; from then on for as long as the page is open
 *     buses.value          as GET /buses tells them; null: not known yet
 *     chosen.value         name of the bus that is looked at; "" while none is known
 *     bus.value            that bus
 *     refreshBuses()       after a change of one's own
 *     clientName           of this page: what it sends cyclically ends with it
 *
 * Without the REST API they are known by the frames that come from them.
 */

import { computed, effect, signal, untracked } from "@preact/signals";
import { api, epoch } from "../bench";
import type { Key } from "../i18n";
import { t } from "../i18n";
import { keep, recall } from "../settings";
import { textOfNamed } from "./connecting";
import { get } from "../rest";
import type { BusStatus, CanFrame } from "./stream";
import { CanStream } from "./stream";

/** Of the bus's recorder. */
export interface Recording {
  bus: string;
  /** "idle", or what it does. */
  state: string;
  [more: string]: unknown;
}

export interface Bus {
  name: string;
  /** "bus_up", "bus_lost", "failed" */
  state: string;
  reason: string;
  device_type: string | null;
  channel: string | number | null;
  baudrate: string | null;
  fd: boolean;
  is_sensor: boolean;
  writable: boolean;
  /** Whether anything may be sent on any bus, as the configuration has it. */
  transmit: boolean;
  /** "adapter", "software", null: not so; of the sensor's bus a sentence. */
  listen_only: string | null;
  received: number;
  sent: number;
  dropped: number | null;
  uptime_s: number;
  /** Names of its database files. */
  dbc: string[];
  recording: Recording;
}

export const SENSOR = "les02";
const DEFAULT = "default";
/** What changes with every frame is not what the list is for. */
const REFRESH_MS = 10_000;

export const clientName = `page-${Math.random().toString(36).slice(2, 10)}`;
export const buses = signal<Bus[] | null>(null);
/** The list could not be read; what is shown may be old. */
export const busesUnknown = signal(false);
/** Told of any bus; views may look at it. */
export const lastStatus = signal<BusStatus | null>(null);

const wanted = signal(recall("bus"));
export const bus = computed<Bus | null>(() => {
  const found = (name: string) => buses.value?.find((each) => each.name === name);
  const own = buses.value?.find((each) => !each.is_sensor);
  return found(wanted.value) ?? found(DEFAULT) ?? own ?? buses.value?.[0] ?? null;
});
export const chosen = computed(() => bus.value?.name ?? "");

export function choose(name: string): void {
  wanted.value = name;
  keep("bus", name);
}

let reading: Promise<void> | null = null;
let again = false;

/** Never rejects; of many calls at once two are made. */
export function refreshBuses(): Promise<void> {
  if (api.value === "") return Promise.resolve();
  if (reading !== null) {
    again = true;
    return reading;
  }
  reading = read().finally(() => {
    reading = null;
    if (again) {
      again = false;
      void refreshBuses();
    }
  });
  return reading;
}

async function read(): Promise<void> {
  try {
    buses.value = await get<Bus[]>("/buses");
    busesUnknown.value = false;
  } catch {
    busesUnknown.value = true;
  }
}

let watcher: CanStream | null = null;
let follows = false;

export function followBuses(): void {
  if (follows) return;
  follows = true;
  effect(() => {
    if (epoch.value === null) return;
    api.value; // and when the listener is another one
    untracked(watch);
  });
  setInterval(() => {
    if (!document.hidden) void refreshBuses();
  }, REFRESH_MS);
}

function watch(): void {
  buses.value = null;
  void refreshBuses();
  if (watcher !== null) {
    watcher.again();
    return;
  }
  watcher = new CanStream({
    // States come whatever frames are asked for.
    query: () =>
      api.value === ""
        ? { bus: "*", decoded: 0, rate: 0.5, client: clientName }
        : { bus: "*", ids: "0x0", decoded: 0, rate: 0.01, client: clientName },
    frame: seen,
    status: (status) => {
      lastStatus.value = status;
      if (api.value === "") learn(status.bus, status.state, status.reason);
      else void refreshBuses();
    },
    opened: () => void refreshBuses(),
  });
}

/** Without the REST API. */
function seen(frame: CanFrame): void {
  if (api.value === "" && frame.bus) learn(frame.bus, "bus_up");
}

function learn(name: string, state: string, reason = ""): void {
  const known = buses.value ?? [];
  const others = known.filter((each) => each.name !== name);
  if (state === "disconnected") {
    buses.value = others;
    return;
  }
  const before = known.find((each) => each.name === name);
  const turned = state === "bus_lost" || state === "failed" ? state : "bus_up";
  if (before?.state === turned && before.reason === reason) return;
  const is_sensor = name === SENSOR;
  const unknown = { device_type: null, channel: null, baudrate: null, fd: false, listen_only: null, dropped: null };
  const counts = { received: 0, sent: 0, uptime_s: 0, dbc: [], recording: { bus: name, state: "idle" } };
  const learnt = { name, state: turned, reason, is_sensor, writable: false, transmit: true, ...unknown, ...counts };
  buses.value = [...others, learnt].sort((one, other) => one.name.localeCompare(other.name));
}

/** What a bus is, in a line. */
export function about({ is_sensor, device_type, channel, baudrate, listen_only }: Bus): string {
  if (is_sensor) return t("can_bus_sensor");
  const rules: Record<string, Key> = { adapter: "can_bus_listen_adapter", software: "can_bus_listen_software" };
  const rule = listen_only && rules[listen_only];
  const parts = [device_type, channel, baudrate && textOfNamed(baudrate), rule && t(rule)];
  return parts.filter((each) => each !== null && each !== "").join(" · ");
}
