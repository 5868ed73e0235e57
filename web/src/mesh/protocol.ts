/**
 * What the listener says of the mesh: its events, and what its REST API answers.
 *
 * Pure. Fields that are not used here are left out.
 */

import type { Envelope } from "../protocol";

export const SOURCE = "mesh";
/** All that concerns a mesh; a status may be another instrument's. */
export const TYPES = "node_connected,node_status,node_data,traffic,status";
export const ROOT = 1;

export const STATES = ["active", "idle", "disconnected"] as const;
export type State = (typeof STATES)[number];

export interface Value {
  /** Octets, in hexadecimal. */
  raw: string;
  value: number | string | null;
  unit: string;
}

/** One node, as `GET /mesh/nodes` lists it. */
export interface Listed {
  addr: number;
  name: string;
  uuid: string;
  state: string;
  last_seen: number | null;
  age_s: number | null;
  data: Record<string, Value & { ts: number }>;
}

export interface Opcode {
  name: string;
  code: number;
}

/** `GET /mesh`. */
export interface About {
  uart: { state: string; device: string; baudrate?: number; counts?: Record<string, number>; why?: string };
  /** Programs that listen on the TCP port. */
  listeners: number;
  storing?: string;
  messages?: Record<string, number>;
  types?: { name: string }[];
  opcodes?: Opcode[];
}

export interface Told {
  ts: number;
  direction: string;
  addr: number | null;
  text: string;
  raw: string;
}

/** What has become of a message. */
export interface Outcome {
  state: string;
  attempts?: number;
  reason?: string;
}

export type Heard =
  | { type: "node_connected"; ts: number; addr: number; name: string; uuid: string }
  | { type: "node_status"; ts: number; addr: number; name: string; state: string; reason: string }
  | { type: "node_data"; ts: number; addr: number; name: string; values: Record<string, Value> }
  | ({ type: "traffic" } & Told)
  | { type: "uart"; ts: number; state: string; device: string; why: string }
  | { type: "clock"; ts: number };

/** Null: it is nothing about a mesh. */
export function understood({ type, ts, source, payload }: Envelope): Heard | null {
  if (type === "status" && payload.state === "clock_step") return { type: "clock", ts };
  if (source !== SOURCE) return null;
  if (type === "status") {
    if (payload.channel !== "uart") return null;
    return { type: "uart", ts, state: String(payload.state), device: text(payload.device), why: text(payload.why) };
  }
  if (type === "traffic") {
    const addr = typeof payload.addr === "number" ? payload.addr : null;
    return { type, ts, direction: text(payload.direction), addr, text: text(payload.text), raw: text(payload.raw) };
  }
  if (typeof payload.addr !== "number") return null;
  const node = { ts, addr: payload.addr, name: text(payload.name) || `Node-${payload.addr}` };
  if (type === "node_connected") return { type, ...node, uuid: text(payload.uuid) };
  if (type === "node_status") return { type, ...node, state: text(payload.state), reason: text(payload.reason) };
  if (type === "node_data") return { type, ...node, values: (payload.values ?? {}) as Record<string, Value> };
  return null;
}

function text(found: unknown): string {
  return typeof found === "string" ? found : "";
}
