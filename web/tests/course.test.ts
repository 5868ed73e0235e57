import { expect, test } from "vitest";
import * as course from "../src/course";
import { beside, courseOf, curveCsv, ofRide, samplesCsv, withBand } from "../src/course";
import type { Curve, Ride } from "../src/protocol";

/** Every 20 ms from half a second before its start: a car at 1000 mm that moves at 100 mm/s for 2 s. */
function curveOf(sign: 1 | -1): Curve {
  const offsets_us = Array.from({ length: 176 }, (_, index) => (index - 25) * 20_000);
  const moved = (us: number) => Math.min(Math.max(us / 1e6, 0), 2);
  return {
    offsets_us,
    position_mm: offsets_us.map((us) => 1000 + sign * 100 * moved(us)),
    velocity_mm_s: offsets_us.map((us) => (us >= 0 && us <= 2e6 ? sign * 100 : 0)),
    acceleration_mm_s2: offsets_us.map(() => 0),
  };
}

function ride(direction: "up" | "down"): Ride {
  return {
    number: 1,
    id: "a",
    start_ts: 1000,
    end_ts: 1002,
    direction,
    distance_mm: 200,
    reason: "completed",
    summary: {},
    resolution_mm: 1,
    specimen: "",
    note: "",
    is_reference: false,
    is_starred: false,
  };
}

test.each([
  ["up", 1],
  ["down", -1],
] as const)("a ride %s goes forward, from its start to its end", (direction, sign) => {
  const { distance_mm, speed_mm_s } = courseOf(ride(direction), curveOf(sign), 0.02);
  expect(distance_mm).toHaveLength(101);
  expect(distance_mm[0]).toBeCloseTo(0);
  expect(distance_mm[50]).toBeCloseTo(100);
  expect(distance_mm[100]).toBeCloseTo(200);
  expect(speed_mm_s.every((speed) => Math.abs(speed - 100) < 1e-6)).toBe(true);
});

test("a ride that ends between two samples ends where it ended", () => {
  const { distance_mm } = courseOf({ ...ride("up"), end_ts: 1001.99 }, curveOf(1), 0.02);
  expect(distance_mm).toHaveLength(101);
  expect(distance_mm.at(-1)).toBeCloseTo(199);
});

test("a ride of which nothing is known is a point, and no error", () => {
  const nothing: Curve = { offsets_us: [], position_mm: [], velocity_mm_s: [], acceleration_mm_s2: [] };
  const { distance_mm } = courseOf({ ...ride("up"), end_ts: null }, nothing, 0.02);
  expect(distance_mm).toEqual([0]);
  expect(ofRide(nothing)).toEqual({ velocity: [[], []], position: [[], []] });
});

test("beside each other they begin together, and a shorter one is not drawn on", () => {
  expect(beside([[1, 2, 3], [4]], 0.5)).toEqual([
    [0, 0.5, 1],
    [1, 2, 3],
    [4, null, null],
  ]);
  expect(beside([], 0.5)).toEqual([[]]);
});

test("the tolerance is as wide on both sides, and goes on where the reference stands after its end", () => {
  const [times, upper, lower, reference, ours] = withBand([0, 10, 20], [0, 11, 22, 33], 5, 0.5);
  expect(times).toEqual([0, 0.5, 1, 1.5]);
  expect(upper).toEqual([5, 15, 25, 25]);
  expect(lower).toEqual([-5, 5, 15, 15]);
  expect(reference).toEqual([0, 10, 20, null]);
  expect(ours).toEqual([0, 11, 22, 33]);
});

test("after its end a ride is compared where it stands", () => {
  expect(course.apart([0, 10, 20, 30], [0, 11], 5, 0.5)).toEqual([
    [0, 0.5, 1, 1.5],
    [5, 5, 5, 5],
    [-5, -5, -5, -5],
    [0, 1, -9, -19],
  ]);
});

test("the table of a curve has a line for each moment, and no minus nothing", () => {
  const curve: Curve = {
    offsets_us: [-20_000, 0, 1_234_560],
    position_mm: [1000, 1000.005, 2500.126],
    velocity_mm_s: [-0, 0, 630.5],
    acceleration_mm_s2: [0, -0, -12.345],
  };
  expect(curveCsv(curve)).toBe(
    [
      "time_s,position_mm,velocity_mm_s,acceleration_mm_s2",
      "-0.0200,1000.00,0.00,0.00",
      "0.0000,1000.00,0.00,0.00",
      "1.2346,2500.13,630.50,-12.35",
      "",
    ].join("\r\n"),
  );
});

test("the table of all frames has both channels in the order of time", () => {
  const samples = { master: [[-2000, 2000, 6000], [1, 2, 3]], slave: [[0, 4000], [4, 5]] } as const;
  const text = samplesCsv(samples as never, 0.1);
  expect(text).toBe(
    [
      "time_s,position_mm,channel,position_raw",
      "-0.002000,0.1,master,1",
      "0.000000,0.4,slave,4",
      "0.002000,0.2,master,2",
      "0.004000,0.5,slave,5",
      "0.006000,0.3,master,3",
      "",
    ].join("\r\n"),
  );
});

test("a ride with one channel has a table, too", () => {
  expect(samplesCsv({ slave: [[0], [7]] }, 1).split("\r\n")).toHaveLength(3);
  expect(samplesCsv({}, 1).split("\r\n")).toHaveLength(2);
});
