/**
 * What is wrong, worst first, and whether what is shown is still true. Never silent: whatever keeps a curve
 * from being current is here, with a sentence.
 *
 * Pure: the model, the state of the connection and the time in, values out.
 */

import type { Key } from "./i18n";
import type { Model, Notice } from "./model";
import { CHANNELS } from "./protocol";

export type Link =
  | { state: "connecting" }
  | { state: "open" }
  /** Until `retryAt`; `reason` is what the listener said when it closed. */
  | { state: "waiting"; retryAt: number; reason: string }
  /** It wants a token, or another one; trying again would change nothing. */
  | { state: "refused"; reason: string };

export interface Condition {
  key: Key;
  level: "bad" | "warn" | "info";
  args: Record<string, string | number>;
}

/** Fifty positions a second come while all is well. */
export const STALE_MS = 1500;

export function isStale(model: Model, link: Link, now: number): boolean {
  return (
    link.state !== "open" ||
    model.bus !== "bus_up" ||
    CHANNELS.every((name) => model.channels[name].state !== "receiving") ||
    model.dataAt === null ||
    now - model.dataAt > STALE_MS
  );
}

export function ageS(model: Model, now: number): number | null {
  return model.dataAt === null ? null : Math.max(0, (now - model.dataAt) / 1000);
}

export function conditions(model: Model, link: Link, now: number): Condition[] {
  const found: Condition[] = [];
  const tell = (level: Condition["level"], key: Key, args: Condition["args"] = {}) =>
    found.push({ level, key, args });

  if (link.state === "waiting") {
    tell("bad", "disconnected", { seconds: Math.max(0, Math.ceil((link.retryAt - now) / 1000)) });
    if (link.reason) tell("info", "disconnected_reason", { reason: link.reason });
  } else if (link.state === "refused") {
    tell("bad", link.reason.includes("not known") ? "token_unknown" : "token_needed");
  } else if (link.state === "connecting") {
    tell(model.epoch === null ? "info" : "bad", "connecting");
  } else {
    tellBench(model, now, tell);
  }
  if (model.storing !== "ok" && model.storing !== "off") tell("bad", "not_storing", { kind: model.storing });
  for (const notice of model.notices) found.push(told(notice));
  return found;
}

type Tell = (level: Condition["level"], key: Key, args?: Condition["args"]) => void;

function tellBench(model: Model, now: number, tell: Tell): void {
  const age = ageS(model, now);
  const seconds = age === null ? "–" : Math.floor(age);
  const states = CHANNELS.map((name) => model.channels[name].state);
  const [first] = states;
  if (model.epoch === null) {
    tell("info", "connecting");
  } else if (model.bus !== "bus_up") {
    tell("bad", "bus_lost", { reason: model.busReason });
  } else if (states.every((state) => state === first) && first !== "receiving") {
    if (first === "locked") tell("bad", "locked", { seconds });
    else if (first === "no_data") tell("bad", "no_data", { seconds });
    else tell("warn", "no_position_yet");
  } else {
    for (const name of CHANNELS) {
      const { state } = model.channels[name];
      if (state === "locked") tell("bad", "channel_locked", { channel: name });
      else if (state === "no_data") tell("bad", "channel_silent", { channel: name });
    }
    // After a silence the first motion takes half a second: its window has to fill.
    const quietMs = now - Math.max(model.dataAt ?? 0, model.changedAt);
    if (quietMs > STALE_MS) tell("bad", "nothing_arrives", { seconds });
  }
  for (const trouble of model.troubles) tell("bad", troubleKey(trouble.code), { ...flat(trouble.details), channel: trouble.channel });
}

function troubleKey(code: string): Key {
  if (code === "channels_disagree" || code === "signals_unknown") return code;
  return code === "overspeed" ? "overspeed" : "position_jump";
}

function flat(details: Record<string, unknown>): Condition["args"] {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [name, typeof value === "number" ? value : String(value)]),
  );
}

const NOTICES: Record<Notice["kind"], [Condition["level"], Key]> = {
  restarted: ["warn", "restarted"],
  skipped: ["warn", "skipped"],
  lost: ["warn", "lost"],
  error: ["warn", "error_told"],
  clock_step: ["warn", "clock_step"],
  relevel: ["info", "relevelled"],
  sensor: ["info", "sensor_says"],
};

function told(notice: Notice): Condition {
  const [level, key] = NOTICES[notice.kind];
  return { level, key, args: notice.args };
}
