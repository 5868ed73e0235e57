/**
 * The nodes of the mesh, as they were listed and as they have been heard since.
 *
 * Pure: events and lists in, with the moment of their arrival, nodes out. Moments (`at`) are milliseconds of a
 * clock that nobody sets; `ts` are Unix seconds of the listener, whose clock may be years away from this one's.
 *
 * 1. What was heard after a list was asked for is newer than the list.
 * 2. A value is never replaced by an older one.
 */

import type { Heard, Listed, State, Value } from "./protocol";
import { STATES } from "./protocol";
import { Trend } from "./trend";

/** No more of them than that are shown; addresses have two octets, and a broken line may invent some. */
export const NODES_MAX = 2000;
const DIGITS_MAX = 4;
/** An address, `A` and `F`. */
const NOT_DELIVERED = /^.{4}4146/;

export interface Measured extends Value {
  ts: number;
  at: number;
  trend: Trend;
  /** The listener was asked for what it has kept. */
  isFilled: boolean;
}

export interface Node {
  addr: number;
  name: string;
  uuid: string;
  state: string;
  reason: string;
  /** When an event about it arrived, and one that told its state. */
  wordAt: number;
  toldAt: number;
  /** When it said something; null never. */
  heardAt: number | null;
  values: Map<string, Measured>;
}

export interface Wanted {
  text: string;
  /** "" are all. */
  state: State | "";
}

export class Nodes {
  readonly byAddr = new Map<number, Node>();
  /** Of each quantity as many as any of its values had: figures do not jump. */
  private readonly digits = new Map<string, number>();
  /** Milliseconds of this clock less those of the listener's, as small as it was ever seen. */
  private offsetMs: number | null = null;

  /** The node that it is about, and whether it is a new one. */
  hear(event: Heard, at: number): { node: Node | null; isNew: boolean } {
    if (event.type === "clock") this.offsetMs = null;
    this.meet(event.ts, at);
    if (event.type === "clock" || event.type === "uart") return { node: null, isNew: false };
    if (event.type === "traffic") return { node: this.passed(event, at), isNew: false };
    const isNew = !this.byAddr.has(event.addr);
    const node = this.node(event.addr, event.name);
    if (node === null) return { node, isNew: false };
    node.wordAt = at;
    if (event.type === "node_status") {
      Object.assign(node, { state: event.state, reason: event.reason, toldAt: at });
    } else if (event.type === "node_connected") {
      // The root may have told of it; that it was heard is said by the traffic.
      Object.assign(node, { uuid: event.uuid || node.uuid, state: "active", reason: "", toldAt: at });
    } else {
      node.heardAt = Math.max(node.heardAt ?? -Infinity, this.momentOf(event.ts, at));
      for (const [name, value] of Object.entries(event.values)) this.measure(node, name, value, event.ts, at);
    }
    return { node, isNew };
  }

  /** What the listener lists, `askedAt` before it came. Who is not in it, and was not heard since, is gone. */
  list(listed: readonly Listed[], askedAt: number, at: number): void {
    for (const each of listed) {
      const node = this.node(each.addr, each.name);
      if (node === null) continue;
      node.uuid = each.uuid || node.uuid;
      if (node.toldAt <= askedAt) {
        if (node.state !== each.state) node.reason = "";
        node.state = each.state;
      }
      // Its age is of when the answer was given; what was heard since is younger.
      if (each.age_s !== null) node.heardAt = Math.max(node.heardAt ?? -Infinity, at - 1000 * each.age_s);
      if (each.last_seen !== null && each.age_s !== null && this.offsetMs === null) {
        this.meet(each.last_seen + each.age_s, at);
      }
      for (const [name, { ts, ...value }] of Object.entries(each.data)) this.measure(node, name, value, ts, at);
    }
    const there = new Set(listed.map(({ addr }) => addr));
    for (const [addr, { wordAt }] of this.byAddr) {
      if (!there.has(addr) && wordAt <= askedAt) this.byAddr.delete(addr);
    }
  }

  /** Another run of the listener: it may have another clock. */
  greet(ts: number, at: number): void {
    this.offsetMs = at - 1000 * ts;
  }

  /** What was kept of values must be asked for again. */
  unfill(): void {
    for (const { values } of this.byAddr.values()) for (const value of values.values()) value.isFilled = false;
  }

  /** By address. */
  ordered({ text, state }: Wanted = { text: "", state: "" }): Node[] {
    const found = [...this.byAddr.values()].filter((node) => (state === "" || node.state === state) && fits(node, text));
    return found.sort((one, other) => one.addr - other.addr);
  }

  counts(): Record<State, number> {
    const counts = { active: 0, idle: 0, disconnected: 0 };
    for (const { state } of this.byAddr.values()) {
      const known = STATES.find((each) => each === state);
      if (known !== undefined) counts[known] += 1;
    }
    return counts;
  }

  digitsOf(name: string): number {
    return this.digits.get(name) ?? 0;
  }

  private node(addr: number, name: string): Node | null {
    let node = this.byAddr.get(addr);
    if (node === undefined) {
      if (this.byAddr.size >= NODES_MAX) return null;
      node = { addr, name, uuid: "", state: "active", reason: "", wordAt: 0, toldAt: 0, heardAt: null, values: new Map() };
      this.byAddr.set(addr, node);
    }
    return node;
  }

  /** Whatever comes from a node is a word of it; that it could not be reached is the root's. */
  private passed({ direction, addr, ts, raw }: Heard & { type: "traffic" }, at: number): Node | null {
    const isItsOwn = direction === "up" && !NOT_DELIVERED.test(raw);
    const node = addr === null || !isItsOwn ? undefined : this.byAddr.get(addr);
    if (node === undefined) return null;
    node.heardAt = Math.max(node.heardAt ?? -Infinity, this.momentOf(ts, at));
    return node;
  }

  private measure(node: Node, name: string, value: Value, ts: number, at: number): void {
    const before = node.values.get(name);
    if (before !== undefined && ts < before.ts && this.momentOf(ts, at) < before.at) return;
    const trend = before?.trend ?? new Trend();
    node.values.set(name, { ...value, ts, at: this.momentOf(ts, at), trend, isFilled: before?.isFilled ?? false });
    if (typeof value.value !== "number") return;
    trend.push(ts, value.value);
    this.digits.set(name, Math.max(this.digitsOf(name), decimals(value.value)));
  }

  private meet(ts: number, at: number): void {
    this.offsetMs = Math.min(this.offsetMs ?? Infinity, at - 1000 * ts);
  }

  /** Of the listener's clock on this one; never later than now. */
  private momentOf(ts: number, at: number): number {
    return Math.min(at, 1000 * ts + (this.offsetMs ?? at - 1000 * ts));
  }
}

/** Words of which each is somewhere in its name, its address or its UUID. */
export function fits({ name, addr, uuid }: Pick<Node, "name" | "addr" | "uuid">, text: string): boolean {
  const where = `${name} ${addr} ${uuid}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => where.includes(word));
}

/** 23.39 → 2; what a binary fraction has beyond nine figures is none of the sensor's. */
export function decimals(value: number): number {
  const [mantissa = "", exponent = "0"] = String(Number(value.toPrecision(9))).split("e-");
  return Math.min(DIGITS_MAX, Number(exponent) + (mantissa.split(".")[1] ?? "").length);
}
