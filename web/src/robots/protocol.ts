/**
 * What is said on `/ws/telemetry/`, as a dashboard hears and says it.
 *
 * Pure: a text in, a message or null out. Types and fields that are not known here are left alone.
 */

export const KINDS = ["robot_move", "camera_move", "set_speed", "set_brightness"] as const;
export type Kind = (typeof KINDS)[number];
export const QUANTITIES = ["battery", "cpu", "temperature", "signal"] as const;
export type Quantity = (typeof QUANTITIES)[number];
/** What a robot has no sensor for is null. */
export type Values = Record<Quantity, number | null>;

/** One robot, a group, or all. */
export interface Target {
  device_id?: string;
  group?: string;
}

export interface Greeting {
  type: "greeting";
  website_id: string;
  may_command: boolean;
  hold_ms: number;
}

export interface Ack {
  type: "ack";
  original_type: string;
  status: "received" | "rejected";
  message: string;
  id?: string | number;
  robots?: string[];
  /** Those of several that did not take it, and why. */
  refused?: Record<string, string>;
  timestamp: string;
}

export interface CommandState {
  type: "command_state";
  id: string | number;
  device_id: string;
  state: "delivered" | "executed" | "failed" | "expired";
  message: string;
  timestamp: string;
}

export interface TelemetryUpdate extends Values {
  type: "telemetry_update";
  device_id: string;
  device_name: string;
  timestamp: string;
}

export interface RobotStatus {
  type: "robot_status";
  device_id: string;
  status: string;
  message: string;
  timestamp: string;
}

export interface OperatorChange {
  type: "robot_operator";
  device_id: string;
  website_id: string | null;
  name: string;
  reason: string;
  timestamp: string;
}

export interface Stopped {
  type: "robot_stopped";
  device_id: string;
  reason: string;
  timestamp: string;
}

export interface Storing {
  type: "telemetry_storing";
  state: string;
  timestamp: string;
}

export interface Gap {
  type: "gap";
  skipped: number;
}

/** A sentence instead of an answer. */
export interface Trouble {
  type: "error";
  error: string;
}

export type Heard =
  | Greeting
  | Ack
  | CommandState
  | TelemetryUpdate
  | RobotStatus
  | OperatorChange
  | Stopped
  | Storing
  | Gap
  | Trouble;

/** Fields without which a message is none. */
const NEEDED: Record<Exclude<Heard["type"], "greeting" | "error">, readonly string[]> = {
  ack: ["original_type", "status"],
  command_state: ["id", "device_id", "state"],
  telemetry_update: ["device_id", "timestamp"],
  robot_status: ["device_id", "status", "timestamp"],
  robot_operator: ["device_id", "website_id"],
  robot_stopped: ["device_id"],
  telemetry_storing: ["state"],
  gap: ["skipped"],
};

export function parse(text: string): Heard | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof found !== "object" || found === null) return null;
  const message = found as Record<string, unknown>;
  if (message.status === "connected" && message.device_type === "website") return { ...message, type: "greeting" } as Greeting;
  if (typeof message.error === "string") return { type: "error", error: message.error };
  const needed = NEEDED[message.type as keyof typeof NEEDED];
  return needed?.every((name) => message[name] !== undefined) ? (message as unknown as Heard) : null;
}

/** Unix seconds. */
export function secondsOf(timestamp: string): number {
  return Date.parse(timestamp) / 1000;
}

export function sameTarget(one: Target, other: Target): boolean {
  return one.device_id === other.device_id && one.group === other.group;
}
