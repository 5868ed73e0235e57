/** The one state of the page: the model, the link, the samples; and how to ask the listener for something. */

import { computed, signal } from "@preact/signals";
import type { Condition, Link } from "./conditions";
import { conditions, isStale } from "./conditions";
import { Connection, Refusal } from "./connection";
import { word } from "./i18n";
import type { Model } from "./model";
import { apply, emptyModel, forgetNotices } from "./model";
import type { ChannelName, Envelope, Motion } from "./protocol";
import { Series } from "./series";
import { token } from "./settings";
import { tell } from "./toast";

/** Everything but positions: those are asked for only by who draws them. */
const TYPES = "motion_sample,ride_start,ride_end,relevel,status,error,system,result";
const POSITIONS = "types=position_sample&rate=20";
const TICK_MS = 100;
/** Twelve minutes of motion; a ride that is longer is read from the listener when it is over. */
const MOTIONS = 36_000;
const CHANNEL_SAMPLES = 6000;

const model: Model = emptyModel();
const link = signal<Link>({ state: "connecting" });
const now = signal(performance.now());
/** Counts what has changed in the model beside its samples. */
const changes = signal(0);

export const motions = new Series(MOTIONS, 4, 0.15);
export const positions: Record<ChannelName, Series> = {
  master: new Series(CHANNEL_SAMPLES, 2, 0.5),
  slave: new Series(CHANNEL_SAMPLES, 2, 0.5),
};

export const bench = computed(() => {
  changes.value;
  now.value;
  return { ...model };
});
export const stale = computed(() => {
  changes.value;
  return isStale(model, link.value, now.value);
});
export const wrong = computed<Condition[]>(() => {
  changes.value;
  return conditions(model, link.value, now.value);
});
/** Where the REST API answers, "" without one. */
export const api = computed(() => bench.value.api);
/** Which run of the listener it is; null before it has said so. */
export const epoch = computed(() => bench.value.epoch);
export const mayChange = computed(() => bench.value.mayChange);
export const connected = computed(() => link.value.state === "open");
export const refused = computed(() => link.value.state === "refused");
/** How many rides have ended, and how often rides may have ended unseen: lists are read anew. */
export const ridesChanged = signal(0);
export const bothChannels = signal(false);
/** The time of the bench that is now, as far as its samples tell; what is drawn ends there. */
export const benchTime = { ts: 0, at: 0 };

let main: Connection | null = null;
let channels: Connection | null = null;

export function start(): void {
  main = new Connection({ address: mainAddress, heard, changed: linkChanged });
  setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", () => {
    tick(); // a hidden page's timers are late
  });
  changes.subscribe(followChannels);
  bothChannels.subscribe(followChannels);
}

export function ask<T>(command: string, parameters: Record<string, unknown> = {}): Promise<T> {
  return main ? main.ask<T>(command, parameters) : Promise.reject(new Refusal("disconnected", ""));
}

/** Says on the page why it could not be done. */
export async function tryTo<T>(doing: Promise<T>): Promise<T | null> {
  try {
    return await doing;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const known = word("refusal", error.code);
    tell(known === error.code ? error.reason || error.code : known, { bad: true });
    return null;
  }
}

export function retryNow(): void {
  main?.retryNow();
}

/** With the token that was given meanwhile. */
export function connectAgain(): void {
  main?.again();
  channels?.again();
}

export function address(wanted: string): string {
  const parameters = token.value ? `${wanted}&token=${encodeURIComponent(token.value)}` : wanted;
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/?${parameters}`;
}

function mainAddress(): string {
  const resume = model.epoch !== null && model.seq !== null ? `&resume=${model.epoch}:${model.seq}` : "";
  return address(`types=${TYPES}&seq=1${resume}`);
}

function linkChanged(changed: Link): void {
  link.value = changed;
  now.value = performance.now();
}

function heard(event: Envelope): void {
  const at = performance.now();
  const before = model.epoch;
  apply(model, event, at);
  if (event.type === "motion_sample") {
    const { position_mm, velocity_mm_s, acceleration_mm_s2 } = event.payload as unknown as Motion;
    motions.push(event.ts, position_mm, velocity_mm_s, acceleration_mm_s2);
    benchTime.ts = event.ts;
    benchTime.at = at;
    return; // drawn by the next frame, told by the next tick
  }
  const unseen = event.type === "hello" && before !== model.epoch;
  if (unseen || event.type === "ride_end" || event.type === "gap" || event.type === "relevel") ridesChanged.value += 1;
  changes.value += 1;
}

function tick(): void {
  if (forgetNotices(model, performance.now())) changes.value += 1;
  now.value = performance.now();
}

/** Both channels' positions come over a connection of their own, as `rate` would thin out the motions too. */
function followChannels(): void {
  const wanted = bothChannels.value || (model.epoch !== null && !model.parts.has("rides"));
  if (wanted && channels === null) {
    channels = new Connection({ address: () => address(POSITIONS), heard: heardPosition, changed: () => undefined });
  } else if (!wanted && channels !== null) {
    channels.close();
    channels = null;
    positions.master.clear();
    positions.slave.clear();
  }
}

function heardPosition(event: Envelope): void {
  if (event.type !== "position_sample") return;
  const at = performance.now();
  apply(model, event, at);
  const { channel, position_raw } = event.payload as { channel: ChannelName; position_raw: number };
  positions[channel]?.push(event.ts, position_raw * model.resolutionMm);
  if (!model.parts.has("rides")) {
    benchTime.ts = event.ts;
    benchTime.at = at;
  }
}
