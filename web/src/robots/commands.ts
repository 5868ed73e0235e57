/**
 * What has become of the commands of this dashboard.
 *
 * Pure: time comes in. A command is `sent` until the listener answers, and then for each robot `received`,
 * `delivered`, and what the robot says: `executed` or `failed`; or it has `expired`. It is `rejected` as a whole,
 * or by some of its robots. `lost`: the connection ended before anybody said what became of it. Nothing is ever
 * called further than it was told to be.
 */

import type { Ack, CommandState } from "./protocol";

export type State = "sent" | "received" | "delivered" | "executed" | "failed" | "expired" | "rejected" | "lost";

/** Worst first: what a person should read first. */
const ORDER: readonly State[] = ["failed", "expired", "rejected", "lost", "sent", "received", "delivered", "executed"];
const FINAL: readonly State[] = ["failed", "expired", "rejected", "lost", "executed"];
/** A stick sends ten a second; those of some seconds are enough. */
const KEPT = 64;
/** While the newest is on its way, the one before it is shown for so long. */
const ON_ITS_WAY_MS = 300;

export interface Part {
  state: State;
  robots: string[];
  message: string;
}

export interface Command {
  id: number;
  kind: string;
  values: Record<string, unknown>;
  sentAt: number;
  answeredAt: number | null;
  /** When its last state came. */
  at: number;
  rejected: string | null;
  lost: boolean;
  robots: Map<string, { state: State; message: string }>;
}

export class Commands {
  private readonly byId = new Map<number, Command>();
  private readonly newest = new Map<string, Command>();
  private readonly told = new Map<string, Command>();
  private nextId = 0;
  /** From sending to the listener's answer. */
  roundTripMs: number | null = null;

  sent(kind: string, values: Record<string, unknown>, now: number): number {
    this.nextId += 1;
    const command: Command = {
      id: this.nextId,
      kind,
      values,
      sentAt: now,
      answeredAt: null,
      at: now,
      rejected: null,
      lost: false,
      robots: new Map(),
    };
    this.byId.set(command.id, command);
    this.newest.set(kind, command);
    for (const id of this.byId.keys()) {
      if (this.byId.size <= KEPT) break;
      this.byId.delete(id);
    }
    return command.id;
  }

  /** The command that it answers, if it is one of ours. */
  ack(ack: Ack, now: number): Command | null {
    const command = this.byId.get(Number(ack.id));
    if (command === undefined || command.answeredAt !== null) return null;
    // Answers come in order: what was sent before and has none will have none.
    for (const [id, each] of this.byId) {
      if (id >= command.id) break;
      if (each.answeredAt === null) this.lose(each, now);
    }
    command.answeredAt = command.at = now;
    this.roundTripMs = now - command.sentAt;
    if (ack.status === "rejected") command.rejected = ack.message;
    for (const robot of ack.robots ?? []) command.robots.set(robot, { state: "received", message: "" });
    for (const [robot, message] of Object.entries(ack.refused ?? {})) command.robots.set(robot, { state: "rejected", message });
    this.tell(command);
    return command;
  }

  state({ id, device_id, state, message }: CommandState, now: number): void {
    const command = this.byId.get(Number(id));
    if (command === undefined) return;
    const before = command.robots.get(device_id);
    if (before !== undefined && FINAL.includes(before.state)) return;
    command.robots.set(device_id, { state, message });
    command.at = now;
    this.tell(command);
  }

  /** The connection is gone, and nobody will say any more. */
  disconnected(now: number): void {
    for (const command of this.byId.values()) {
      const open = command.rejected === null && parts(command).some(({ state }) => !FINAL.includes(state));
      if (open) this.lose(command, now);
    }
    this.byId.clear();
    this.roundTripMs = null;
  }

  /** The last of its kind; while that is on its way, the last of which something is known. */
  shown(kind: string, now: number): Command | null {
    const newest = this.newest.get(kind) ?? null;
    if (newest === null || newest.answeredAt !== null || newest.lost || now - newest.sentAt > ON_ITS_WAY_MS) return newest;
    const told = this.told.get(kind);
    return told && newest.sentAt - told.sentAt < ON_ITS_WAY_MS ? told : newest;
  }

  last(kind: string): Command | null {
    return this.newest.get(kind) ?? null;
  }

  /** For how long the oldest has waited for the listener's answer. */
  unansweredMs(now: number): number {
    for (const command of this.byId.values()) {
      if (command.answeredAt === null) return now - command.sentAt;
    }
    return 0;
  }

  private lose(command: Command, now: number): void {
    command.lost = true;
    command.at = now;
    this.byId.delete(command.id);
  }

  private tell(command: Command): void {
    const before = this.told.get(command.kind);
    if (before === undefined || before.id <= command.id) this.told.set(command.kind, command);
  }
}

/** Robots that have come equally far, worst first. */
export function parts(command: Command): Part[] {
  if (command.rejected !== null) return [{ state: "rejected", robots: [], message: command.rejected }];
  if (command.robots.size === 0) {
    const state = command.lost ? "lost" : command.answeredAt === null ? "sent" : "received";
    return [{ state, robots: [], message: "" }];
  }
  const found: Part[] = [];
  for (const [robot, { state: told, message }] of command.robots) {
    const state = command.lost && !FINAL.includes(told) ? "lost" : told;
    const same = found.find((part) => part.state === state && part.message === message);
    if (same) same.robots.push(robot);
    else found.push({ state, robots: [robot], message });
  }
  return found.sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state));
}

/** From sending to the last thing that was told; null while nothing was. */
export function tookMs(command: Command): number | null {
  return command.answeredAt === null ? null : command.at - command.sentAt;
}
