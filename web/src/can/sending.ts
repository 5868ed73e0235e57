/** What is sent from here, and why nothing can be sent: shared by the forms, the cyclic list and the lists. */

import { computed, signal } from "@preact/signals";
import { bench, tryTo } from "../bench";
import type { Args, Key } from "../i18n";
import { bus, chosen, clientName } from "./buses";
import type { Frame } from "./frame_form";
import { get, post } from "../rest";
import type { Values } from "./signal_form";

/** By identifier and octets, or by names. */
export type Wanted = { frame: Frame } | { message: string; signals: Values };

export interface Cyclic {
  id: number;
  bus: string;
  can_id: number;
  is_extended: boolean;
  data: number[];
  period_ms: number;
  name: string;
  client: string;
  pinned: boolean;
  running: boolean;
  error: string;
}

/** Null: the bus that is looked at can be sent on. */
export const whyNot = computed<{ key: Key; args?: Args } | null>(() => {
  const { value } = bus;
  if (value === null) return { key: "can_no_bus" };
  if (value.is_sensor) return { key: "can_bus_sensor" };
  if (!bench.value.mayChange) return { key: "wb_send_read_only" };
  if (!value.transmit) return { key: "wb_send_transmit_off" };
  if (value.listen_only !== null || !value.writable) return { key: "wb_send_listen_only", args: { bus: value.name } };
  if (value.state !== "bus_up") return { key: "wb_send_bus_lost", args: { bus: value.name } };
  return null;
});

export function sendOnce(wanted: Wanted): Promise<{ sent: number } | null> {
  return tryTo(post("frame" in wanted ? "/send" : "/send_message", bodyOf(wanted)));
}

export async function sendEvery(wanted: Wanted, periodMs: number, pinned: boolean): Promise<Cyclic | null> {
  const path = "frame" in wanted ? "/cyclic" : "/cyclic/message";
  const body = { ...bodyOf(wanted), period_ms: periodMs, client: clientName, pinned };
  const started = await tryTo(post<Cyclic>(path, body));
  await readCyclics();
  return started;
}

function bodyOf(wanted: Wanted): Record<string, unknown> {
  return "frame" in wanted
    ? { ...wanted.frame, bus: chosen.value }
    : { message_name: wanted.message, signals: wanted.signals, bus: chosen.value };
}

export const cyclics = signal<Cyclic[] | null>(null);
/** The list could not be read: what is shown may be over. */
export const cyclicsOld = signal(false);

export async function readCyclics(): Promise<void> {
  try {
    cyclics.value = await get<Cyclic[]>("/cyclic");
    cyclicsOld.value = false;
  } catch {
    cyclicsOld.value = true;
  }
}

/** Whose a task is: "" of this page. */
export function ownerOf({ client, pinned }: Cyclic): "pinned" | "here" | "other" {
  if (pinned) return "pinned";
  return client === clientName ? "here" : "other";
}

