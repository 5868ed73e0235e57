import { expect, test } from "vitest";
import { live, plain, Roll } from "../src/arrays/drawn";
import type { Packet } from "../src/arrays/packet";
import { rolling } from "../src/arrays/rolling";

function packet(x: number[], y: number[], more: Partial<Packet> = {}): Packet {
  return { sequence: 0, timestamp: 0, fresh: x.length, total: x.length, x: Float64Array.from(x), y: Float64Array.from(y), ...more };
}

/** As anybody would write it who has the time. */
function slowly(values: (number | null)[], span: number) {
  const found = values.map((_, index) => {
    if (index < span - 1) return [null, null];
    const last = values.slice(index - span + 1, index + 1).filter((each): each is number => each !== null && Number.isFinite(each));
    if (last.length === 0) return [null, null];
    const mean = last.reduce((sum, each) => sum + each, 0) / last.length;
    return [mean, Math.sqrt(last.reduce((sum, each) => sum + (each - mean) ** 2, 0) / last.length)];
  });
  return { mean: found.map(([mean]) => mean), deviation: found.map(([, deviation]) => deviation) };
}

function near(found: (number | null)[], expected: (number | null | undefined)[]): void {
  expect(found.length).toBe(expected.length);
  found.forEach((each, index) => {
    const other = expected[index];
    if (other === null || other === undefined) expect(each).toBeNull();
    else expect(each).toBeCloseTo(other, 9);
  });
}

test.each([1, 2, 3, 7, 20, 99, 100, 101, 1000])("the rolling mean and deviation over %i are those of the definition", (span) => {
  const values = Array.from({ length: 100 }, (_, index) => (index % 13 === 5 ? null : index % 17 === 3 ? NaN : 50_000 + 40 * Math.sin(index * 1.7)));
  const found = rolling(values, span);
  const expected = slowly(values, span);
  near(found.mean, expected.mean);
  near(found.deviation, expected.deviation);
});

test("an outlier is forgotten without a trace", () => {
  const values = Array.from({ length: 200 }, (_, index) => (index === 50 ? 1e15 : index % 2));
  const { mean, deviation } = rolling(values, 10);
  expect(mean.slice(60)).toEqual(new Array(140).fill(0.5));
  expect(deviation.slice(60)).toEqual(new Array(140).fill(0.5));
});

test("small changes of a large value are not lost", () => {
  const { deviation } = rolling(Array.from({ length: 50 }, (_, index) => 1e9 + (index % 2) * 1e-3), 10);
  expect(deviation[30]).toBeCloseTo(0.5e-3, 7);
});

test("what is constant has no deviation, and nothing is said of too few", () => {
  expect(rolling([3, 3, 3], 2)).toEqual({ mean: [null, 3, 3], deviation: [null, 0, 0] });
  expect(rolling([], 5)).toEqual({ mean: [], deviation: [] });
  expect(rolling([NaN, NaN], 2)).toEqual({ mean: [null, null], deviation: [null, null] });
});

test("its time does not depend on how many the mean is of", () => {
  let reads = 0;
  const values = new Proxy(new Array<number>(20_000).fill(1), {
    get: (target, key) => {
      if (key !== "length") reads += 1;
      return Reflect.get(target, key) as unknown;
    },
  });
  rolling(values, 500);
  expect(reads).toBeLessThanOrEqual(2 * 20_000);
});

test("of a live source it is told how long ago", () => {
  expect(live(packet([1000, 1000.5, 1001], [1, 2, 3]))).toEqual({ x: [-1, -0.5, 0], y: [1, 2, 3], axis: "ago", odd: 0 });
  expect(live(packet([], []))).toEqual({ x: [], y: [], axis: "ago", odd: 0 });
});

test("no line spans a time in which the source was silent", () => {
  const before = Array.from({ length: 50 }, (_, index) => index / 50);
  const after = before.map((each) => each + 6);
  const { x, y } = live(packet([...before, ...after], [...before, ...after]));
  expect(y.filter((each) => each === null)).toHaveLength(1);
  expect(y.indexOf(null)).toBe(50);
  expect(x[50]).toBeCloseTo((0.98 + 6) / 2 - 6.98, 6);
});

test("a late value or two are no hole", () => {
  const times = Array.from({ length: 50 }, (_, index) => index / 50 + (index > 25 ? 0.1 : 0));
  expect(live(packet(times, times)).y).not.toContain(null);
});

test("what is no finite number is not drawn, and counted", () => {
  expect(plain(packet([0, 1, 2, 3], [1, NaN, -Infinity, 1e305]))).toEqual({ x: [0, 1, 2, 3], y: [1, null, null, null], axis: "plain", odd: 3 });
});

test.each([[[0, 2, 1]], [[0, NaN, 1]], [[0, 1, Infinity]]])("points with the x %j are drawn by their number", (x) => {
  expect(plain(packet(x, [5, 6, 7]))).toEqual({ x: [0, 1, 2], y: [5, 6, 7], axis: "number", odd: 0 });
});

test("an array that is played goes through, the oldest points first", () => {
  const roll = new Roll(4);
  roll.push(packet([0, 1, 2], [0, 1, 2], { total: 3 }));
  roll.push(packet([3, 4, 5], [3, 4, 5], { total: 6 }));
  expect(roll.drawn()).toEqual({ x: [2, 3, 4, 5], y: [2, 3, 4, 5], axis: "plain", odd: 0 });
});

test("where points of it were missed is a hole", () => {
  const roll = new Roll(10);
  roll.push(packet([0, 1], [0, 1], { total: 2 }));
  roll.push(packet([4, 5], [4, 5], { total: 6 }));
  expect(roll.drawn()).toMatchObject({ x: [0, 1, 4, 4, 5], y: [0, 1, null, 4, 5], odd: 0 });
});

test("from its beginning again it is drawn anew", () => {
  const roll = new Roll(10);
  roll.push(packet([0, 1], [5, 6], { total: 2 }));
  roll.push(packet([0, 1], [5, 6], { total: 4 }));
  expect(roll.drawn()).toMatchObject({ x: [0, 1], y: [5, 6] });
});

test("an x that goes to and fro is played by its number, without end", () => {
  const roll = new Roll(4);
  roll.push(packet([0, 5, 1], [1, 2, 3], { total: 3 }));
  roll.push(packet([0, 5, 1], [4, 5, 6], { total: 6 }));
  expect(roll.drawn()).toEqual({ x: [0, 1, 2, 3], y: [3, 4, 5, 6], axis: "number", odd: 0 });
});
