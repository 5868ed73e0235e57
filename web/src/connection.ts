/**
 * The way to the listener: connects, resumes where it was, asks, and notices when nobody is there any more.
 *
 * A browser does not tell that a tablet has lost its Wi-Fi, so whoever is silent for too long is asked
 * something, and left if no answer comes.
 */

import type { Link } from "./conditions";
import type { Envelope } from "./protocol";
import { parse } from "./protocol";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5000;
const QUIET_MS = 4000;
const ANSWER_MS = 4000;
const ASK_MS = 10_000;
const LOOK_MS = 500;
/** The listener wants a token. */
const NOT_ALLOWED = 1008;

/** What the listener answered instead of a result. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    readonly reason: string,
  ) {
    super(`${code}: ${reason}`);
  }
}

interface Question {
  resolve: (payload: never) => void;
  reject: (error: Refusal) => void;
  until: number;
}

export interface Hearer {
  /** With parameters, such as `?seq=1&resume=…`; called for every attempt. */
  address: () => string;
  heard: (event: Envelope) => void;
  changed: (link: Link) => void;
}

export class Connection {
  private socket: WebSocket | null = null;
  private retryMs = FIRST_RETRY_MS;
  private retryTimer = 0;
  private heardAt = 0;
  private askedAt: number | null = null;
  private nextId = 0;
  private readonly questions = new Map<number, Question>();
  private readonly watch: number;

  constructor(private readonly hearer: Hearer) {
    this.watch = window.setInterval(() => this.look(), LOOK_MS);
    window.addEventListener("online", this.retryNow);
    this.connect();
  }

  close(): void {
    clearInterval(this.watch);
    clearTimeout(this.retryTimer);
    window.removeEventListener("online", this.retryNow);
    this.leave();
  }

  /** Rejects with a Refusal, also when there is no connection or no answer. */
  ask<T>(command: string, parameters: Record<string, unknown> = {}): Promise<T> {
    const { socket } = this;
    if (socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Refusal("disconnected", ""));
    }
    const id = ++this.nextId;
    socket.send(JSON.stringify({ ...parameters, type: `command:${command}`, id }));
    return new Promise<T>((resolve, reject) => {
      this.questions.set(id, { resolve, reject, until: performance.now() + ASK_MS });
    });
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

  private connect(): void {
    this.hearer.changed({ state: "connecting" });
    const socket = new WebSocket(this.hearer.address());
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onopen = () => {
      this.heardAt = performance.now();
    };
    socket.onmessage = (message) => this.receive(String(message.data));
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      if (event.code === NOT_ALLOWED) this.refused(event.reason);
      else this.lost(event.reason);
    };
  }

  private receive(text: string): void {
    this.heardAt = performance.now();
    this.askedAt = null;
    const event = parse(text);
    if (event === null) return;
    if (event.type === "hello") {
      this.retryMs = FIRST_RETRY_MS;
      this.hearer.changed({ state: "open" });
    }
    if (!this.answers(event)) this.hearer.heard(event);
  }

  private answers(event: Envelope): boolean {
    const { payload } = event;
    const details = (event.type === "error" ? payload.details : payload) as Record<string, unknown>;
    const id = typeof details.id === "number" && (event.type === "result" || event.type === "error") ? details.id : null;
    const question = id === null ? undefined : this.questions.get(id);
    if (id === null || question === undefined) return false;
    this.questions.delete(id);
    if (event.type === "result") question.resolve(payload as never);
    else question.reject(new Refusal(String(payload.code), String(details.reason)));
    return true;
  }

  private look(): void {
    const now = performance.now();
    for (const [id, question] of this.questions) {
      if (now > question.until) {
        this.questions.delete(id);
        question.reject(new Refusal("no_answer", ""));
      }
    }
    if (this.socket === null) return;
    if (this.socket.readyState !== WebSocket.OPEN) {
      if (now - this.heardAt > QUIET_MS + ANSWER_MS) this.lost("");
    } else if (this.askedAt !== null) {
      if (now - this.askedAt > ANSWER_MS) this.lost("");
    } else if (now - this.heardAt > QUIET_MS) {
      this.askedAt = now;
      // Any answer will do, also that there are no rides here.
      this.ask("list_rides", { limit: 1 }).catch(() => undefined);
    }
  }

  private lost(reason: string): void {
    this.leave();
    const delay = this.retryMs;
    this.retryMs = Math.min(2 * this.retryMs, LONGEST_RETRY_MS);
    this.retryTimer = window.setTimeout(() => this.connect(), delay);
    this.hearer.changed({ state: "waiting", retryAt: performance.now() + delay, reason });
  }

  private refused(reason: string): void {
    this.leave();
    this.hearer.changed({ state: "refused", reason });
  }

  private leave(): void {
    const { socket } = this;
    this.socket = null;
    this.askedAt = null;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const question of this.questions.values()) question.reject(new Refusal("disconnected", ""));
    this.questions.clear();
  }
}
