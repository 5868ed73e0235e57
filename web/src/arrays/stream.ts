/**
 * `/ws/stream` for the view *Live*: packets of one source as they come, and whatever keeps them from coming.
 *
 *     const stream = new Stream({ wanted: () => ({ source: "les02.velocity", window: 500, rate: 20 }), packet });
 *     stream.state.value      what the listener said of it; `stream.link.value` is the connection
 *     stream.begin()          with what `wanted` says now; `stream.end()`
 *     stream.close()
 *
 * A source of one's own begins by itself, again after every disconnection. The demo is shared by all: it is
 * watched when somebody has started it, and started or stopped for all only on request.
 */

import { effect, signal, untracked } from "@preact/signals";
import type { Link } from "../conditions";
import { Line } from "../line";
import { token } from "../settings";
import type { Packet } from "./packet";
import { decode } from "./packet";

export interface Wanted {
  source: string;
  window: number;
  rate: number;
  loop?: boolean;
}

export interface State {
  streaming: boolean;
  /** An array has been played to its end. */
  ended: boolean;
  /** A live source gives nothing; why, if that is known. */
  waiting: boolean;
  reason: string;
  /** The listener refused it, in its words. */
  error: string;
  unit: string;
  /** Packets that this page was too slow for. */
  skipped: number;
}

export const DEMO = "demo";
const NOTHING: State = { streaming: false, ended: false, waiting: false, reason: "", error: "", unit: "", skipped: 0 };

interface Hearer {
  wanted: () => Wanted;
  packet: (packet: Packet) => void;
}

export class Stream {
  readonly link = signal<Link>({ state: "connecting" });
  readonly state = signal<State>(NOTHING);
  /** It was lost, and is not back. */
  readonly isLost = signal(false);
  /** When the newest packet came, or the first one was promised, by `performance.now()`. */
  packetAt: number | null = null;
  private readonly line: Line;
  private readonly forget: () => void;
  private isWanted = true;

  constructor(private readonly hearer: Hearer) {
    this.line = new Line({
      address: () => this.address(),
      heard: (text) => this.heard(text),
      heardBinary: (message) => this.heardBinary(message),
      changed: (link) => {
        this.link.value = link;
        if (link.state === "open" || link.state === "waiting") this.isLost.value = link.state === "waiting";
        if (link.state !== "open") this.change({ streaming: false, waiting: false, reason: "" });
      },
      begun: () => this.greet(),
      probe: () => void this.say({ action: "ping" }),
    });
    let isFirst = true;
    this.forget = effect(() => {
      token.value;
      untracked(() => (isFirst ? this.line.start() : this.line.again()));
      isFirst = false;
    });
  }

  /** Another source, or other terms. Who goes to the demo comes anew, to watch it without starting it. */
  choose(isSameSource = false): void {
    this.isWanted = true;
    this.state.value = isSameSource ? { ...NOTHING, unit: this.state.peek().unit } : NOTHING;
    this.packetAt = null;
    if (this.isDemo || this.link.peek().state !== "open") this.line.again();
    else this.ask();
  }

  begin(): void {
    this.isWanted = true;
    this.state.value = { ...NOTHING, unit: this.state.peek().unit };
    this.packetAt = null;
    if (this.isDemo) this.say({ action: "start" });
    else this.ask();
  }

  end(): void {
    this.isWanted = false;
    this.say({ action: "stop" });
  }

  retryNow(): void {
    this.line.retryNow();
  }

  close(): void {
    this.forget();
    this.line.close();
  }

  private get isDemo(): boolean {
    return this.hearer.wanted().source === DEMO;
  }

  /** It says nothing by itself, and is open with its first message. */
  private greet(): void {
    this.say({ action: "ping" });
    if (this.isWanted && !this.isDemo) this.ask();
  }

  private ask(): void {
    this.say({ action: "start", ...this.hearer.wanted() });
  }

  private say(what: Record<string, unknown>): void {
    this.line.say(JSON.stringify(what));
  }

  private heardBinary(message: ArrayBuffer): void {
    const { streaming } = this.state.peek();
    // What is not of a source that the listener has confirmed is of the one before, or of the demo.
    if (!streaming && !this.isDemo) return;
    const packet = decode(message);
    if (packet === null) return; // of another version; it is told that nothing comes
    this.packetAt = performance.now();
    // Of the demo, who comes is not told whether it runs.
    if (!streaming) this.change({ streaming: true });
    this.hearer.packet(packet);
  }

  private heard(text: string): void {
    const message = parse(text);
    if (message?.type === "status") this.status(message);
    else if (message?.type === "gap") this.change({ skipped: this.state.peek().skipped + Number(message.skipped) });
    else if (message?.type === "error") this.change({ error: String(message.message), streaming: false });
  }

  private status(message: Record<string, unknown>): void {
    const { source = DEMO, streaming, unit, waiting, reason, ended } = message;
    if (source !== this.hearer.wanted().source) return; // of what was wanted before
    if (streaming === true) this.packetAt ??= performance.now(); // from now on one is due
    this.change({
      streaming: streaming === true,
      waiting: waiting === true,
      ended: ended === true,
      reason: typeof reason === "string" ? reason : "",
      error: "",
      ...(typeof unit === "string" && unit ? { unit } : {}),
    });
  }

  private change(what: Partial<State>): void {
    this.state.value = { ...this.state.peek(), ...what };
  }

  private address(): string {
    const query = new URLSearchParams({ format: "binary", ...(token.value ? { token: token.value } : {}) });
    return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/stream?${query}`;
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
}
