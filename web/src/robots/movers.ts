/**
 * When what a stick or a slider says is sent.
 *
 * 1. A stick that moves says so at once, and then at most every PACE_MS; the newest wins.
 * 2. While it is held away from the middle it says so every REPEAT_MS: a robot whose move is not repeated stops.
 * 3. Zero is said at once, once; it never waits, and nothing of before is said after it.
 * 4. A slider says the newest at most every DIAL_MS, and always its last.
 */

import type { Point } from "./stick";
import { ZERO, isSame, isZero } from "./stick";

const PACE_MS = 50;
const REPEAT_MS = 100;
const DIAL_MS = 150;

export class Mover {
  private at = ZERO;
  private saidAt = -Infinity;
  private said = ZERO;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly say: (at: Point) => void) {}

  move(to: Point): void {
    if (isSame(to, this.at)) return;
    this.at = to;
    clearTimeout(this.timer);
    const wait = this.saidAt + PACE_MS - performance.now();
    if (isZero(to) || wait <= 0) this.now();
    else this.timer = setTimeout(() => this.now(), wait);
  }

  /** Without a word: nobody is to be told. */
  forget(): void {
    clearTimeout(this.timer);
    this.at = this.said = ZERO;
  }

  private now(): void {
    this.saidAt = performance.now();
    // What was never said need not be taken back.
    if (!isZero(this.at) || !isZero(this.said)) this.say(this.at);
    this.said = this.at;
    if (!isZero(this.at)) this.timer = setTimeout(() => this.now(), REPEAT_MS);
  }
}

export class Dial {
  private value: number | null = null;
  private said: number | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly say: (value: number) => void) {}

  turn(value: number): void {
    this.value = value;
    if (this.timer === undefined) this.now();
  }

  /** Nothing more of it: it is another robot's by now. */
  forget(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.value = this.said = null;
  }

  private now(): void {
    this.timer = undefined;
    if (this.value === null || this.value === this.said) return;
    this.said = this.value;
    this.say(this.value);
    this.timer = setTimeout(() => this.now(), DIAL_MS);
  }
}
