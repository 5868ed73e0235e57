/**
 * A WebSocket that stays: it connects again by itself, and notices when nobody is there any more.
 *
 * A browser does not tell that a tablet has lost its Wi-Fi, so whoever is silent for too long is asked
 * something, and left if no answer comes. It is `open` with the first message, not before: who wants a token
 * closes before he has said anything.
 */

import type { Link } from "./conditions";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5000;
const QUIET_MS = 4000;
const ANSWER_MS = 4000;
const LOOK_MS = 500;
/** The listener wants a token, or the address has a mistake. */
const NOT_ALLOWED = 1008;

export interface End {
  /** Called for every attempt. */
  address: () => string;
  heard: (text: string) => void;
  /** Of who has asked for binary messages. */
  heardBinary?: (message: ArrayBuffer) => void;
  changed: (link: Link) => void;
  /** Says something that will be answered. */
  probe: () => void;
  /** The connection is there, nothing was said yet. */
  begun?: () => void;
}

export class Line {
  private socket: WebSocket | null = null;
  private isOpen = false;
  private retryMs = FIRST_RETRY_MS;
  private retryTimer = 0;
  private heardAt = 0;
  private askedAt: number | null = null;
  private watch = 0;

  constructor(private readonly end: End) {}

  start(): void {
    this.watch = window.setInterval(() => this.look(), LOOK_MS);
    window.addEventListener("online", this.retryNow);
    document.addEventListener("visibilitychange", this.wake);
    this.connect();
  }

  close(): void {
    clearInterval(this.watch);
    clearTimeout(this.retryTimer);
    window.removeEventListener("online", this.retryNow);
    document.removeEventListener("visibilitychange", this.wake);
    this.leave();
  }

  /** False without a connection. */
  say(text: string): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(text);
    return true;
  }

  /** With another address, such as with another token. */
  again(): void {
    this.leave();
    this.retryNow();
  }

  readonly retryNow = (): void => {
    if (this.socket !== null) return;
    clearTimeout(this.retryTimer);
    this.connect();
  };

  /** A tablet that was asleep has lost its connection, and its timers are late. */
  private readonly wake = (): void => {
    if (!document.hidden) this.retryNow();
  };

  private connect(): void {
    this.end.changed({ state: "connecting" });
    const socket = new WebSocket(this.end.address());
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    this.heardAt = performance.now();
    socket.onopen = () => {
      this.heardAt = performance.now();
      this.end.begun?.();
    };
    socket.onmessage = (message) => this.receive(message.data as string | ArrayBuffer);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      if (event.code === NOT_ALLOWED) this.refused(event.reason);
      else this.lost(event.reason);
    };
  }

  private receive(message: string | ArrayBuffer): void {
    this.heardAt = performance.now();
    this.askedAt = null;
    if (!this.isOpen) {
      this.isOpen = true;
      this.retryMs = FIRST_RETRY_MS;
      this.end.changed({ state: "open" });
    }
    if (typeof message === "string") this.end.heard(message);
    else this.end.heardBinary?.(message);
  }

  private look(): void {
    const now = performance.now();
    const { socket } = this;
    if (socket === null) return;
    if (socket.readyState !== WebSocket.OPEN) {
      if (now - this.heardAt > QUIET_MS + ANSWER_MS) this.lost("");
    } else if (this.askedAt !== null) {
      if (now - this.askedAt > ANSWER_MS) this.lost("");
    } else if (now - this.heardAt > QUIET_MS) {
      this.askedAt = now;
      this.end.probe();
    }
  }

  private lost(reason: string): void {
    this.leave();
    const delay = this.retryMs;
    this.retryMs = Math.min(2 * this.retryMs, LONGEST_RETRY_MS);
    this.retryTimer = window.setTimeout(() => this.connect(), delay);
    this.end.changed({ state: "waiting", retryAt: performance.now() + delay, reason });
  }

  private refused(reason: string): void {
    this.leave();
    this.end.changed({ state: "refused", reason });
  }

  private leave(): void {
    const { socket } = this;
    this.socket = null;
    this.isOpen = false;
    this.askedAt = null;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // Closed while it connects it would be told as an error by the browser.
      if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
      else socket.close();
    }
  }
}
