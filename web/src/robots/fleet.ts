/**
 * The robots as the listener tells of them, and what may be done with them.
 *
 * Pure: messages and time in. Times are milliseconds of the page; `serverNow` is the listener's clock.
 */

import { History, NOTHING } from "./history";
import type { Heard, Target, Values } from "./protocol";
import { QUANTITIES, secondsOf } from "./protocol";

/** After a stop the sticks of this page rest for so long, so that who holds one sees it. */
export const HALT_MS = 1000;
/** What the listener did by itself is told for so long. */
const NOTICE_MS = 6000;
const LINKS = ["connected", "disconnected", "stale"];
const WRONGS = ["low_battery", "hot", "weak_signal"];
const OVER = "_over";

export interface Robot {
  id: string;
  name: string;
  /** connected, disconnected, stale */
  status: string;
  wrong: Set<string>;
  /** In its own words. */
  said: { status: string; message: string } | null;
  operator: { id: string; name: string } | null;
  groups: string[];
  /** Whether it says what it has executed; null while nobody knows. */
  confirms: boolean | null;
  values: Values;
  /** Unix seconds of the listener. */
  valuesTs: number | null;
  stopped: { reason: string; at: number } | null;
  haltedUntil: number;
  history: History;
}

/** As GET /robots has one. */
export interface Listed {
  device_id: string;
  device_name: string;
  status: string;
  said: { status: string; message: string } | null;
  wrong: string[];
  operator: { id: string; name: string } | null;
  confirms: boolean;
  groups: string[];
}

export class Fleet {
  readonly robots = new Map<string, Robot>();
  /** This dashboard's own id, "" before the listener has greeted it. */
  me = "";
  mayCommand = false;
  storing = "ok";
  skipped = 0;
  /** What the listener said instead of an answer. */
  trouble = "";
  /** Of the connection before. */
  private readonly halted = new Map<string, number>();
  private readonly histories = new Map<string, History>();
  /** Unix milliseconds of the listener less those of the page. */
  private offsetMs: number | null = null;

  serverNow(now: number): number {
    return this.offsetMs === null ? 0 : (now + this.offsetMs) / 1000;
  }

  ordered(): Robot[] {
    return [...this.robots.values()].sort((one, other) => one.id.localeCompare(other.id, undefined, { numeric: true }));
  }

  groups(): string[] {
    return [...new Set(this.ordered().flatMap(({ groups }) => groups))].sort();
  }

  /** Connected or not. */
  members({ device_id, group }: Target): Robot[] {
    return this.ordered().filter((robot) =>
      device_id !== undefined ? robot.id === device_id : group === undefined || robot.groups.includes(group),
    );
  }

  /** True if it is a robot of which nothing was known. */
  hear(message: Heard, now: number): boolean {
    if ("timestamp" in message && message.type !== "telemetry_update") this.setClock(secondsOf(message.timestamp), now);
    switch (message.type) {
      case "greeting":
        this.me = message.website_id;
        this.mayCommand = message.may_command;
        for (const { id, haltedUntil } of this.robots.values()) this.halted.set(id, haltedUntil);
        this.robots.clear(); // who is there is said next
        this.offsetMs = null;
        this.trouble = "";
        this.storing = "ok"; // said next, if it is not
        return false;
      case "gap":
        this.skipped += message.skipped;
        return false;
      case "telemetry_storing":
        this.storing = message.state;
        return false;
      case "error":
        this.trouble = message.error;
        return false;
      case "telemetry_update":
      case "robot_status":
      case "robot_operator":
      case "robot_stopped": {
        const isNew = !this.robots.has(message.device_id);
        this.tellOf(this.robot(message.device_id), message, now);
        return isNew;
      }
      default:
        return false;
    }
  }

  /** What the REST API lists: groups; and `all` of it where something was skipped, else it may be older. */
  list(listed: readonly Listed[], storing: string, all: boolean): void {
    this.storing = storing;
    for (const { device_id, status, said, wrong, operator, confirms, groups } of listed) {
      const robot = this.robots.get(device_id);
      if (robot === undefined) continue; // it was here long ago
      Object.assign(robot, { confirms, groups });
      if (all) Object.assign(robot, { status, said, operator, wrong: new Set(wrong) });
    }
  }

  halt(target: Target, now: number): void {
    for (const robot of this.members(target)) robot.haltedUntil = Math.max(robot.haltedUntil, now + HALT_MS);
  }

  private robot(id: string): Robot {
    let robot = this.robots.get(id);
    if (robot !== undefined) return robot;
    const history = this.histories.get(id) ?? new History();
    this.histories.set(id, history);
    robot = {
      id,
      name: id,
      status: "disconnected",
      wrong: new Set(),
      said: null,
      operator: null,
      groups: [],
      confirms: null,
      values: NOTHING,
      valuesTs: null,
      stopped: null,
      haltedUntil: this.halted.get(id) ?? 0,
      history,
    };
    this.robots.set(id, robot);
    return robot;
  }

  private tellOf(robot: Robot, message: Heard, now: number): void {
    switch (message.type) {
      case "telemetry_update": {
        const ts = secondsOf(message.timestamp);
        robot.name = message.device_name || robot.id;
        robot.values = Object.fromEntries(QUANTITIES.map((name) => [name, message[name] ?? null])) as unknown as Values;
        robot.valuesTs = ts;
        robot.history.push(ts, robot.values);
        if (this.offsetMs === null || ts > this.serverNow(now)) this.setClock(ts, now);
        break;
      }
      case "robot_status":
        this.setStatus(robot, message.status, message.message);
        // One that is back at once is not driven on at once.
        if (message.status === "disconnected") robot.haltedUntil = now + HALT_MS;
        break;
      case "robot_operator":
        robot.operator = message.website_id === null ? null : { id: message.website_id, name: message.name };
        break;
      case "robot_stopped":
        robot.stopped = { reason: message.reason, at: now };
        if (isHalt(message.reason)) robot.haltedUntil = now + HALT_MS;
        break;
    }
  }

  private setStatus(robot: Robot, status: string, message: string): void {
    const ended = status.endsWith(OVER) ? status.slice(0, -OVER.length) : "";
    if (LINKS.includes(status)) {
      robot.status = status;
      if (status === "disconnected") robot.operator = robot.said = robot.confirms = null;
    } else if (WRONGS.includes(status)) robot.wrong.add(status);
    else if (WRONGS.includes(ended)) robot.wrong.delete(ended);
    else robot.said = { status, message };
  }

  private setClock(ts: number, now: number): void {
    if (Number.isFinite(ts)) this.offsetMs = ts * 1000 - now;
  }
}

/** Somebody pressed a stop; other reasons end one move only. */
export function isHalt(reason: string): boolean {
  return reason.startsWith("stopped by ");
}

export function isNotice({ stopped }: Robot, now: number): boolean {
  return stopped !== null && now - stopped.at < NOTICE_MS;
}

/** How old its values are; null without any. */
export function ageS(robot: Robot, serverNow: number): number | null {
  return robot.valuesTs === null ? null : Math.max(0, serverNow - robot.valuesTs);
}

/** Why the sticks are dead, or null. */
export type Dead =
  | { why: "unknown" }
  | { why: "may_not" }
  | { why: "nobody" }
  | { why: "operated"; by: string }
  | { why: "stopped" };

/** Who is to have it: this dashboard, if nobody else has. */
export function isTheirs(robot: Robot, me: string): boolean {
  return robot.operator !== null && robot.operator.id !== me;
}

export function deadReason(fleet: Fleet, target: Target, now: number): Dead | null {
  if (fleet.me === "") return { why: "unknown" };
  if (!fleet.mayCommand) return { why: "may_not" };
  const there = fleet.members(target).filter(({ status }) => status !== "disconnected");
  if (there.length === 0) return { why: "nobody" };
  const free = there.filter((robot) => !isTheirs(robot, fleet.me));
  if (free.length === 0) return { why: "operated", by: nameOf(there[0]!) };
  return free.every(({ haltedUntil }) => haltedUntil > now) ? { why: "stopped" } : null;
}

/** Of who operates it, "" for nobody. */
export function nameOf({ operator }: Robot): string {
  return operator === null ? "" : operator.name || operator.id;
}
