import { expect, test } from "vitest";
import { decimate, Series } from "../src/series";

function times(series: Series): number[] {
  return Array.from({ length: series.length }, (_, index) => series.at(0, index));
}

test("the oldest makes room for the newest", () => {
  const series = new Series(4, 2, 10);
  for (let time = 0; time < 7; time++) series.push(time, 10 * time);
  expect(times(series)).toEqual([3, 4, 5, 6]);
  expect(series.at(1, 0)).toBe(30);
  expect(series.lastTime).toBe(6);
});

test("a gap is one, and of the size that it had", () => {
  const series = new Series(10, 2, 0.15);
  for (const time of [0, 0.02, 0.04, 1, 1.02]) series.push(time, 1);
  const [at, values] = series.columnsBetween(-1, 2);
  expect(values).toEqual([1, 1, 1, null, 1, 1]);
  expect(at![3]).toBeGreaterThan(0.04);
  expect(at![3]).toBeLessThan(1);
});

test("samples as they come are no gap", () => {
  const series = new Series(1000, 2, 0.15);
  for (let number = 0; number < 500; number++) series.push(1.8e9 + number * 0.02, number);
  expect(series.length).toBe(500);
});

test("a clock that was set back begins anew", () => {
  const series = new Series(10, 2, 1);
  for (const time of [5, 6, 7, 2, 3]) series.push(time, time);
  expect(times(series)).toEqual([2, 3]);
});

test("an empty one has neither a last time nor values", () => {
  const series = new Series(10, 3, 1);
  expect(series.lastTime).toBeNull();
  expect(series.columnsBetween(0, 10)).toEqual([[], [], []]);
  expect(series.valueAt(1, 0)).toBeNull();
  series.push(1, 2, 3);
  series.clear();
  expect(series.columnsBetween(0, 10)).toEqual([[], [], []]);
});

test("of a span one sample more is given at each end, so that lines leave the picture", () => {
  const series = new Series(5, 2, 10);
  for (let time = 0; time < 8; time++) series.push(time, time);
  expect(series.columnsBetween(4.5, 6.5)[0]).toEqual([4, 5, 6, 7]);
  expect(series.columnsBetween(5, 6)[0]).toEqual([4, 5, 6]);
  expect(series.columnsBetween(0, 100)[0]).toEqual([3, 4, 5, 6, 7]);
});

test("between two samples the value is between theirs, and in a gap there is none", () => {
  const series = new Series(10, 2, 0.5);
  for (const [time, value] of [[0, 10], [0.2, 20], [2, 100]] as const) series.push(time, value);
  expect(series.valueAt(1, 0)).toBe(10);
  expect(series.valueAt(1, 0.1)).toBeCloseTo(15);
  expect(series.valueAt(1, 0.2)).toBe(20);
  expect(series.valueAt(1, 1)).toBeNull();
  expect(series.valueAt(1, 2)).toBe(100);
  expect(series.valueAt(1, -1)).toBeNull();
  expect(series.valueAt(1, 3)).toBeNull();
});

function curve(length: number, value: (index: number) => number | null): (number | null)[][] {
  const numbers = Array.from({ length }, (_, index) => index);
  return [numbers, numbers.map(value)];
}

test("few samples are drawn as they are", () => {
  const columns = curve(300, (index) => index);
  expect(decimate(columns, 100)).toBe(columns);
});

test("a peak of a single sample is kept, upwards and downwards", () => {
  const columns = curve(36_000, (index) => (index === 12_345 ? 999 : index === 23_456 ? -999 : Math.sin(index / 500)));
  const [at, values] = decimate(columns, 400);
  expect(values!.length).toBeLessThanOrEqual(4 * 400);
  expect(values![at!.indexOf(12_345)]).toBe(999);
  expect(values![at!.indexOf(23_456)]).toBe(-999);
});

test("the lowest and the highest of every column of pixels are kept, and time goes on", () => {
  const noise = (index: number) => Math.sin(index * index);
  const [at, values] = decimate(curve(10_000, noise), 100);
  const all = Array.from({ length: 10_000 }, (_, index) => noise(index));
  for (let pixel = 0; pixel < 100; pixel++) {
    const part = all.slice(100 * pixel, 100 * pixel + 100);
    expect(values).toContain(Math.min(...part));
    expect(values).toContain(Math.max(...part));
  }
  expect(at!.every((time, index) => index === 0 || time! > at![index - 1]!)).toBe(true);
  expect([at![0], at!.at(-1)]).toEqual([0, 9999]);
});

test("of two curves each keeps its own peaks, at the same moments", () => {
  const numbers = Array.from({ length: 5000 }, (_, index) => index);
  const columns = [numbers, numbers.map((n) => (n === 1111 ? 50 : 0)), numbers.map((n) => (n === 3333 ? -50 : 0))];
  const [at, first, second] = decimate(columns, 50);
  expect(first![at!.indexOf(1111)]).toBe(50);
  expect(second![at!.indexOf(3333)]).toBe(-50);
  expect([first!.length, second!.length]).toEqual([at!.length, at!.length]);
});

test("a gap stays one, however many samples there are", () => {
  const columns = curve(20_000, (index) => (index >= 7000 && index < 7003 ? null : 1));
  expect(decimate(columns, 100)[1]!.filter((value) => value === null)).toHaveLength(3);
});
