/**
 * What is known of the bench, from the listener's events alone.
 *
 * Pure: an event and the moment of its arrival in, the model changed. Moments are milliseconds of a clock
 * that nobody sets (`performance.now()`), since the clocks of bench and tablet may differ by years.
 */

import type { ChannelName, Direction, Envelope, Hello, Motion, RideEnd } from "./protocol";
import { CHANNELS } from "./protocol";

export interface Channel {
  state: string;
  positionRaw: number | null;
}

export interface RideNow {
  id: string;
  startTs: number;
  direction: Direction;
}

export interface RideOver extends RideNow {
  endTs: number;
  end: RideEnd;
}

/** Something wrong that lasts until it is told to be over. */
export interface Trouble {
  code: string;
  channel: string;
  details: Record<string, unknown>;
  since: number;
}

/** Something that has happened, and is shown for a while. */
export interface Notice {
  id: number;
  kind: "restarted" | "skipped" | "lost" | "error" | "clock_step" | "relevel" | "sensor";
  args: Record<string, string | number>;
  at: number;
}

export interface Model {
  epoch: string | null;
  seq: number | null;
  version: string;
  /** The sensor's; other instruments have tabs of their own. */
  source: string;
  mayChange: boolean;
  parts: ReadonlySet<string>;
  api: string;
  /** Of other devices, kept with the rides. */
  signals: string[];
  resolutionMm: number;
  storing: string;
  bus: string;
  busReason: string;
  changedAt: number; // the state of bus or channels
  channels: Record<ChannelName, Channel>;
  motion: Motion | null;
  positionMm: number | null;
  /** When the last position was current; null before the first. */
  dataAt: number | null;
  ride: RideNow | null;
  last: RideOver | null;
  floor: number | null;
  troubles: Trouble[];
  notices: Notice[];
}

export const NOTICE_MS = 12_000;
const NOTICES_MAX = 4;
/** Told by the workbench, and about what is kept with the rides. */
const SIGNALS_UNKNOWN = "signals_unknown";
const CHANNEL_STATES: ReadonlySet<string> = new Set(["receiving", "no_data", "locked"]);
/** These have an end of their own. */
const LASTING: ReadonlySet<string> = new Set(["channels_disagree", "position_jump", "overspeed", SIGNALS_UNKNOWN]);
let noticeId = 0;

export function emptyModel(): Model {
  return {
    epoch: null,
    seq: null,
    version: "",
    source: "",
    mayChange: true,
    parts: new Set(),
    api: "",
    signals: [],
    resolutionMm: 1,
    storing: "ok",
    bus: "unknown",
    busReason: "",
    changedAt: 0,
    channels: {
      master: { state: "unknown", positionRaw: null },
      slave: { state: "unknown", positionRaw: null },
    },
    motion: null,
    positionMm: null,
    dataAt: null,
    ride: null,
    last: null,
    floor: null,
    troubles: [],
    notices: [],
  };
}

export function apply(model: Model, event: Envelope, at: number): void {
  if (event.seq !== undefined) model.seq = event.seq;
  HANDLERS[event.type]?.(model, event, at);
}

type Handler = (model: Model, event: Envelope, at: number) => void;

const HANDLERS: Record<string, Handler> = {
  hello: greet,
  motion_sample(model, event, at) {
    // It is about a moment before, and may come after the sensor has fallen silent.
    if (CHANNELS.every((name) => model.channels[name].state !== "receiving")) return;
    model.motion = event.payload as unknown as Motion;
    model.positionMm = model.motion.position_mm;
    model.dataAt = at;
  },
  position_sample(model, event, at) {
    const { channel, position_raw } = event.payload as { channel: ChannelName; position_raw: number };
    if (!(channel in model.channels)) return;
    model.channels[channel].positionRaw = position_raw;
    model.dataAt = at;
    if (!model.parts.has("rides") && channel === "master") model.positionMm = position_raw * model.resolutionMm;
  },
  ride_start(model, event) {
    const { ride_id, direction } = event.payload as { ride_id: string; direction: Direction };
    model.ride = { id: ride_id, startTs: event.ts, direction };
  },
  ride_end(model, event) {
    const end = event.payload as unknown as RideEnd;
    const ride = model.ride?.id === end.ride_id ? model.ride : null;
    const startTs = ride?.startTs ?? event.ts - end.summary.duration_s;
    const { start_position_mm: from = 0, stop_position_mm: to = 0 } = end.summary;
    const direction = ride?.direction ?? (to >= from ? "up" : "down");
    model.last = { id: end.ride_id, startTs, direction, endTs: event.ts, end };
    model.ride = null;
    model.floor = end.summary.stop_floor ?? null;
  },
  relevel(model, event, at) {
    notice(model, "relevel", { distance: Number(event.payload.distance_mm) }, at);
  },
  status: changeState,
  error: complain,
  gap(model, event, at) {
    const { where, skipped } = event.payload as { where: string; skipped: number | null };
    // A restart has been seen in `hello` already.
    if (skipped === null) return;
    notice(model, where === "client" || where === "resume" ? "skipped" : "lost", { count: skipped }, at);
  },
};

function greet(model: Model, event: Envelope, at: number): void {
  const hello = event.payload as unknown as Hello;
  const restarted = model.epoch !== null && model.epoch !== hello.epoch;
  if (restarted) {
    notice(model, "restarted", {}, at);
  }
  // Also what became well again while nobody was listening.
  model.troubles = (hello.troubles ?? []).map((each) => ({ ...each, since: at }));
  model.epoch = hello.epoch;
  if (restarted || model.seq === null) model.seq = hello.seq;
  model.version = hello.version;
  model.source = event.source ?? "";
  model.mayChange = hello.access !== "read";
  model.parts = new Set(hello.parts);
  model.api = hello.api ?? "";
  model.signals = hello.signals ?? [];
  model.resolutionMm = hello.resolution_mm;
  model.storing = hello.storing;
  model.bus = hello.bus;
  model.changedAt = at;
  for (const name of CHANNELS) {
    const channel = hello.channels[name];
    model.channels[name] = { state: channel?.state ?? "unknown", positionRaw: channel?.position_raw ?? null };
  }
  const { position_raw, position_ts } = hello.channels.master ?? {};
  if (position_raw !== undefined && position_ts !== undefined) {
    model.positionMm = position_raw * hello.resolution_mm;
    model.dataAt = at - 1000 * Math.max(0, event.ts - position_ts);
  }
  const { ride } = hello;
  model.ride = ride && { id: ride.ride_id, startTs: ride.start_ts, direction: ride.direction };
}

function changeState(model: Model, event: Envelope, at: number): void {
  if ((event.source ?? model.source) !== model.source && event.payload.code !== SIGNALS_UNKNOWN) return;
  const { channel, state, ...more } = event.payload as { channel: string; state: string };
  if (state === "bus_lost" || state === "bus_up") {
    model.bus = state;
    model.busReason = String((more as { reason?: string }).reason ?? "");
    model.changedAt = at;
    for (const name of CHANNELS) model.channels[name].state = "unknown";
    if (state === "bus_lost") forgetMotion(model);
  } else if (CHANNEL_STATES.has(state)) {
    for (const name of CHANNELS) {
      if (channel === "system" || channel === name) model.channels[name].state = state;
    }
    model.changedAt = at;
    if (channel === "system" && state !== "receiving") forgetMotion(model);
  } else if (state === "well_again") {
    const { code } = more as unknown as { code: string };
    const over = model.troubles.find((each) => each.code === code && each.channel === channel);
    // One that was over at once could not be read.
    if (over && at - over.since < NOTICE_MS && code === "position_jump") notice(model, "error", { channel, code }, over.since);
    model.troubles = model.troubles.filter((each) => each.code !== code || each.channel !== channel);
  } else if (state === "storing_again") {
    model.storing = "ok";
  } else if (state === "clock_step") {
    notice(model, "clock_step", { seconds: Number((more as { step_s?: number }).step_s ?? 0) }, at);
  } else {
    notice(model, "sensor", { channel, state }, at);
  }
}

/** A velocity of before is none of now; the last position stays, and gets older. */
function forgetMotion(model: Model): void {
  model.motion = null;
}

function complain(model: Model, event: Envelope, at: number): void {
  const { channel, code, details } = event.payload as { channel: string; code: string; details: Record<string, unknown> };
  if (details.id !== undefined) return; // the answer to a command
  if (LASTING.has(code)) {
    model.troubles = model.troubles.filter((each) => each.code !== code || each.channel !== channel);
    model.troubles.push({ code, channel, details, since: at });
  } else if (code === "storing_failed") {
    model.storing = String(details.kind ?? "failed");
  } else {
    notice(model, "error", { channel, code }, at);
  }
}

function notice(model: Model, kind: Notice["kind"], args: Notice["args"], at: number): void {
  const same = model.notices.find(
    (each) => each.kind === kind && each.args.code === args.code && each.args.channel === args.channel,
  );
  if (same) {
    // Of what is counted the sum is told, not every piece of it.
    if (typeof same.args.count === "number") args = { ...args, count: same.args.count + Number(args.count) };
    model.notices = model.notices.filter((each) => each !== same);
  }
  model.notices = [...model.notices, { id: ++noticeId, kind, args, at }].slice(-NOTICES_MAX);
}

/** Drops what has been shown for long enough; true if there was any. */
export function forgetNotices(model: Model, now: number): boolean {
  const left = model.notices.filter((each) => now - each.at < NOTICE_MS);
  const changed = left.length !== model.notices.length;
  if (changed) model.notices = left;
  return changed;
}
