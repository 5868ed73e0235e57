/**
 * Where a stick is: from a finger, or from keys.
 *
 * Pure. x to the right and y forward, both from -1 to 1, within a circle of the radius 1. Near the middle it is
 * at zero; from there on it grows from nothing, without a jump.
 */

export interface Point {
  x: number;
  y: number;
}

export const ZERO: Point = { x: 0, y: 0 };
const DEAD = 0.1;
/** What is finer than this is a hand that trembles. */
const STEPS = 50;
/** With Shift. */
const SLOW = 0.35;

const KEYS: Record<string, Point> = {
  ArrowUp: { x: 0, y: 1 },
  ArrowDown: { x: 0, y: -1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  // Where they lie on the keyboard, whatever is written on them.
  KeyW: { x: 0, y: 1 },
  KeyS: { x: 0, y: -1 },
  KeyA: { x: -1, y: 0 },
  KeyD: { x: 1, y: 0 },
};

export function isZero({ x, y }: Point): boolean {
  return x === 0 && y === 0;
}

export function isSame(one: Point, other: Point): boolean {
  return one.x === other.x && one.y === other.y;
}

export function isKey(code: string): boolean {
  return code in KEYS;
}

/** `right` and `down` from the middle, as the screen counts; `reach` is where the stick ends. */
export function fromPointer(right: number, down: number, reach: number): Point {
  const length = Math.hypot(right, down) / reach;
  if (!Number.isFinite(length) || length <= DEAD) return ZERO;
  const size = Math.min(1, (length - DEAD) / (1 - DEAD));
  return rounded((right / reach / length) * size, (-down / reach / length) * size);
}

export function fromKeys(codes: Iterable<string>, slow: boolean): Point {
  let x = 0;
  let y = 0;
  for (const code of new Set(codes)) {
    x += KEYS[code]?.x ?? 0;
    y += KEYS[code]?.y ?? 0;
  }
  // Two keys for one direction are one; two against each other are none.
  x = Math.sign(x);
  y = Math.sign(y);
  const size = (slow ? SLOW : 1) / Math.max(1, Math.hypot(x, y));
  return rounded(x * size, y * size);
}

/** Towards the middle, so that a corner stays within the circle. */
function rounded(x: number, y: number): Point {
  return { x: Math.trunc(x * STEPS + Math.sign(x) * 1e-9) / STEPS + 0, y: Math.trunc(y * STEPS + Math.sign(y) * 1e-9) / STEPS + 0 };
}
