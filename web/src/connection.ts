/** The way to the listener's events: resumes where it was, and asks. */

import type { Link } from "./conditions";
import { Line } from "./line";
import type { Envelope } from "./protocol";
import { parse } from "./protocol";

const ASK_MS = 10_000;

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
}

export interface Hearer {
  /** With parameters, such as `?seq=1&resume=…`; called for every attempt. */
  address: () => string;
  heard: (event: Envelope) => void;
  changed: (link: Link) => void;
}

export class Connection {
  private readonly line: Line;
  private nextId = 0;
  private readonly questions = new Map<number, Question>();

  constructor(private readonly hearer: Hearer) {
    this.line = new Line({
      address: hearer.address,
      heard: (text) => this.heard(text),
      changed: (link) => this.changed(link),
      // Any answer will do, also that there are no rides here.
      probe: () => void this.ask("list_rides", { limit: 1 }).catch(() => undefined),
    });
    this.line.start();
  }

  close(): void {
    this.line.close();
    this.giveUp();
  }

  /** Rejects with a Refusal, also when there is no connection or no answer. */
  ask<T>(command: string, parameters: Record<string, unknown> = {}): Promise<T> {
    const id = ++this.nextId;
    if (!this.line.say(JSON.stringify({ ...parameters, type: `command:${command}`, id }))) {
      return Promise.reject(new Refusal("disconnected", ""));
    }
    return new Promise<T>((resolve, reject) => {
      this.questions.set(id, { resolve, reject });
      setTimeout(() => {
        if (this.questions.delete(id)) reject(new Refusal("no_answer", ""));
      }, ASK_MS);
    });
  }

  again(): void {
    this.line.again();
  }

  retryNow(): void {
    this.line.retryNow();
  }

  private changed(link: Link): void {
    if (link.state !== "open") this.giveUp();
    this.hearer.changed(link);
  }

  private giveUp(): void {
    for (const question of this.questions.values()) question.reject(new Refusal("disconnected", ""));
    this.questions.clear();
  }

  private heard(text: string): void {
    const event = parse(text);
    if (event !== null && !this.answers(event)) this.hearer.heard(event);
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
}
