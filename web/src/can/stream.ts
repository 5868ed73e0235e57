/**
 * `/ws/can` for one view: frames as they come, states of buses, and how many frames were skipped for it.
 *
 *     const stream = new CanStream({ query: () => ({ bus: chosen.value, rate: 10 }), frame, status, gap });
 *     stream.link.value.state     "open", or why nothing comes
 *     stream.again()              with what `query` says now
 *     stream.close()
 *
 * Any number of them may be there. Each says something when it begins, since a bus may be silent.
 */

import { effect, signal, untracked } from "@preact/signals";
import type { Link } from "../conditions";
import { Line } from "../line";
import { token } from "../settings";

export interface Signal {
  /** The text of a choice where there is one. */
  value: number | string;
  raw?: number;
  unit?: string;
  scale?: number;
  offset?: number;
  min?: number;
  max?: number;
}

export interface CanFrame {
  id: number;
  data: number[];
  timestamp: number;
  is_extended: boolean;
  is_remote: boolean;
  dlc: number;
  is_fd?: boolean;
  decoded?: { message_name: string; signals: Record<string, Signal>; error?: string };
  /** When all buses were asked for. */
  bus?: string;
}

export interface BusStatus {
  type: "status";
  bus: string;
  state: string;
  reason?: string;
  [more: string]: unknown;
}

export interface Hearer {
  /** What is asked for, such as bus, ids, rate, decoded, client; called for every attempt. */
  query: () => Record<string, string | number>;
  frame?: (frame: CanFrame) => void;
  status?: (status: BusStatus) => void;
  gap?: (skipped: number) => void;
  /** Open again, after a while in which anything may have happened; also the first time. */
  opened?: () => void;
}

export class CanStream {
  readonly link = signal<Link>({ state: "connecting" });
  private readonly line: Line;
  private readonly forget: () => void;

  constructor(private readonly hearer: Hearer) {
    this.line = new Line({
      address: () => this.address(),
      heard: (text) => this.heard(text),
      changed: (link) => {
        this.link.value = link;
        if (link.state === "open") this.hearer.opened?.();
      },
      begun: () => void this.line.say("hello"),
      probe: () => void this.line.say("still there?"),
    });
    let isFirst = true;
    this.forget = effect(() => {
      token.value;
      untracked(() => (isFirst ? this.line.start() : this.line.again()));
      isFirst = false;
    });
  }

  again(): void {
    this.line.again();
  }

  retryNow(): void {
    this.line.retryNow();
  }

  close(): void {
    this.forget();
    this.line.close();
  }

  private address(): string {
    const asked = Object.entries(this.hearer.query()).map(([name, value]) => [name, String(value)]);
    const query = new URLSearchParams(asked);
    if (token.value) query.set("token", token.value);
    return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/can?${query}`;
  }

  private heard(text: string): void {
    const message = parse(text);
    if (message === null) return;
    if (message.type === undefined) this.hearer.frame?.(message as unknown as CanFrame);
    else if (message.type === "status") this.hearer.status?.(message as BusStatus);
    else if (message.type === "gap") this.hearer.gap?.(Number(message.skipped));
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
}
