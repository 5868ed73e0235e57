/** What the listener says, as docs/protocol.md has it. Fields that are not used here are left out. */

export interface Envelope {
  type: string;
  ts: number;
  source?: string;
  payload: Record<string, unknown>;
  seq?: number;
}

export const CHANNELS = ["master", "slave"] as const;
export type ChannelName = (typeof CHANNELS)[number];
export type Direction = "up" | "down";

export interface Hello {
  epoch: string;
  version: string;
  resolution_mm: number;
  parts: string[];
  api?: string;
  ride: { ride_id: string; start_ts: number; direction: Direction } | null;
  storing: string;
  troubles?: { channel: string; code: string; details: Record<string, unknown> }[];
  access?: string;
  signals?: string[];
  bus: string;
  channels: Record<string, { state: string; position_raw?: number; position_ts?: number }>;
  seq: number;
}

export interface Motion {
  position_mm: number;
  velocity_mm_s: number;
  acceleration_mm_s2: number;
}

export interface Phase {
  name: string;
  begin_s: number;
  duration_s: number;
  distance_mm: number;
  speed_mm_s: number;
}

interface Extremes {
  velocity_mm_s: number;
  acceleration_mm_s2: number;
  deceleration_mm_s2: number;
  jerk_mm_s3: number;
}

/** A ride that a power cut ended early has no more than the first two. */
export interface Summary {
  duration_s: number;
  distance_mm: number;
  start_position_mm?: number;
  stop_position_mm?: number;
  max?: Extremes;
  p95?: Extremes;
  full_speed_mm_s?: number | null;
  creep_speed_mm_s?: number | null;
  phases?: Phase[];
  start_floor?: number | null;
  stop_floor?: number | null;
  stop_offset_mm?: number | null;
  cause?: string | null;
  partial?: boolean;
  turned?: boolean;
  stops?: number;
  relevels?: number;
}

export interface RideEnd {
  ride_id: string;
  reason: string;
  summary: Summary;
}

export interface Ride {
  number: number;
  id: string;
  start_ts: number;
  end_ts: number | null;
  direction: Direction;
  distance_mm: number | null;
  reason: string | null;
  summary: Partial<Summary>;
  resolution_mm: number;
  specimen: string;
  note: string;
  is_reference: boolean;
  is_starred: boolean;
}

export interface RideList {
  rides: Ride[];
  total: number;
  specimen: string;
}

export interface Curve {
  offsets_us: number[];
  position_mm: number[];
  velocity_mm_s: number[];
  acceleration_mm_s2: number[];
}

/** What another device said during a ride, at its own times. */
export interface Track {
  unit: string;
  offsets_us: number[];
  values: number[];
  words: Record<string, string>;
}

/** By bus.message.signal. */
export type Tracks = Record<string, Track>;

export type Samples = Partial<Record<ChannelName, [number[], number[]]>>;

export interface KeptRide {
  ride: Ride;
  curve: Curve;
  samples?: Samples;
  signals?: Tracks;
  events?: Envelope[];
}

export interface Deviation {
  max: number;
  rms: number;
  at_s: number;
}

/** Distance and speed in the direction of travel, from the start of movement on. */
export interface Course {
  distance_mm: number[];
  speed_mm_s: number[];
}

interface Apart {
  name: string;
  ride_mean: number | null;
  reference_mean: number | null;
  max: number | null;
  rms: number | null;
  at_s: number | null;
}

export interface SignalDeviation extends Apart {
  unit: string;
  phases: Apart[];
}

/** From the beginning of movement on. */
export interface BothTracks {
  unit: string;
  words: Record<string, string>;
  ride: { times_s: number[]; values: number[] };
  reference: { times_s: number[]; values: number[] };
}

export interface Comparison {
  ride: number;
  reference: number;
  tolerance: { position_mm: number; velocity_mm_s: number };
  position: Deviation;
  velocity: Deviation;
  phases: { name: string; position: Deviation; velocity: Deviation }[];
  duration_s: number;
  distance_mm: number;
  passed: boolean;
  reasons: string[];
  interval_s: number;
  signals?: SignalDeviation[];
  curves?: { ride: Course; reference: Course; signals?: Record<string, BothTracks> };
}

export function parse(text: string): Envelope | null {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found !== "object" || found === null) return null;
    const { type, ts, payload } = found as Partial<Envelope>;
    const complete = typeof type === "string" && typeof ts === "number" && typeof payload === "object";
    return complete && payload !== null ? (found as Envelope) : null;
  } catch {
    return null;
  }
}
