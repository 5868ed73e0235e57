import { expect, test } from "vitest";
import { clamp, scale, shift } from "../src/zoom";
import type { Span } from "../src/zoom";

const FULL: Span = [-1, 9];
const SPANS: Span[] = [
  [0, 1],
  [-1, 0.5],
  [8.99, 9],
  [-5, 2],
  [7, 30],
  [3, 3],
  [4, 2],
];

function inside(span: Span | null): boolean {
  return span === null || (span[0] >= FULL[0] && span[1] <= FULL[1] + 1e-9 && span[1] > span[0]);
}

test.each(SPANS)("whatever is asked for, %j …, stays within what there is", (from, to) => {
  const span: Span = [from, to];
  expect(inside(clamp(span, FULL))).toBe(true);
  for (const factor of [0.01, 0.5, 1, 2, 100]) {
    for (const at of [FULL[0], 2, FULL[1]]) expect(inside(scale(span, FULL, factor, at))).toBe(true);
  }
  for (const share of [-100, -0.5, 0.5, 100]) expect(inside(shift(span, FULL, share))).toBe(true);
});

test("all of it is no zoom", () => {
  expect(clamp(FULL, FULL)).toBeNull();
  expect(clamp([-100, 100], FULL)).toBeNull();
  expect(scale([0, 5], FULL, 10, 2)).toBeNull();
});

test("what is under the finger stays there", () => {
  const [from, to] = scale([2, 6], FULL, 0.5, 3)!;
  expect((3 - from) / (to - from)).toBeCloseTo((3 - 2) / (6 - 2));
  expect(to - from).toBeCloseTo(2);
});

test("in and out again is where one was", () => {
  expect(scale(scale([2, 6], FULL, 0.5, 3)!, FULL, 2, 3)).toEqual([2, 6]);
});

test("panning keeps the length, also at the edge", () => {
  expect(shift([2, 6], FULL, 0.5)).toEqual([4, 8]);
  expect(shift([2, 6], FULL, 5)).toEqual([5, 9]);
  expect(shift([2, 6], FULL, -5)).toEqual([-1, 3]);
});

test("nobody gets lost in a point", () => {
  let span: Span = [2, 6];
  for (let turn = 0; turn < 100; turn++) span = scale(span, FULL, 0.5, 3)!;
  expect(span[1] - span[0]).toBeGreaterThan(0.01);
});
