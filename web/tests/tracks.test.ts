import { expect, test } from "vitest";
import { alongside, axisTitle, besideTracks, digitsOf, held, ofTrack, shortNames, trackColumns, within, wordsWithin } from "../src/tracks";
import type { Track } from "../src/protocol";

const track = (offsets_us: number[], values: number[], more: Partial<Track> = {}): Track => ({ unit: "bar", offsets_us, values, words: {}, ...more });

test("a value holds for two of its periods, and no longer", () => {
  const at = held(track([0, 20_000, 40_000], [1, 2, 3]));
  expect([-1, 0, 19_999, 20_000, 80_000, 80_001].map(at)).toEqual([null, 1, 1, 2, 3, null]);
  expect(held(track([5], [7]))(1_000_005)).toBe(7);
  expect(held(track([], []))(0)).toBeNull();
});

test("what is missing is a gap, not a line", () => {
  expect(ofTrack(track([0, 20_000, 40_000, 200_000, 220_000], [1, 2, 3, 4, 5]))).toEqual([
    [0, 0.02, 0.04, 0.08, 0.2, 0.22],
    [1, 2, 3, null, 4, 5],
  ]);
});

test("of two rides each has its own moments", () => {
  const both = besideTracks([track([10_000, 30_000], [5, 6]), track([0, 20_000], [1, 2])]);
  expect(both).toEqual([
    [0, 0.01, 0.02, 0.03],
    [null, 5, 5, 6],
    [1, 1, 2, 2],
  ]);
});

test("a phase has the values that were told in it", () => {
  const told = track([0, 1_000_000, 2_000_000], [1, 2, 6]);
  expect(within(told, 0, 2)).toEqual({ mean: 1.5, min: 1, max: 2 });
  expect(within(told, 0.1, 0.9)).toBeNull();
});

test("a phase has the words that were told in it, in their order", () => {
  const words = { "0": "Off", "1": "Ready", "2": "Run" };
  const told = track([0, 1, 2, 3, 4].map((s) => s * 1e6), [0, 1, 1, 2, 7], { words });
  expect(wordsWithin(told, 0, 4)).toEqual(["Off", "Ready", "Run"]);
  expect(wordsWithin(told, 3, 5)).toEqual(["Run", "7"]);
  expect(wordsWithin(told, 0.1, 0.9)).toEqual([]);
  const restless = track(Array.from({ length: 20 }, (_, s) => s * 1e6), Array.from({ length: 20 }, (_, s) => s % 2), { words });
  expect(wordsWithin(restless, 0, 20)).toEqual(["Off", "Ready", "Off", "Ready", "Off", "…"]);
});

test("names are as short as they can be told apart", () => {
  expect(shortNames(["a.M.Pressure", "a.M.Current", "a.N.Speed", "a.M.Speed", "a.X.Y", "b.X.Y"])).toEqual({
    "a.M.Pressure": "Pressure",
    "a.M.Current": "Current",
    "a.N.Speed": "N.Speed",
    "a.M.Speed": "M.Speed",
    "a.X.Y": "a.X.Y",
    "b.X.Y": "b.X.Y",
  });
});

test("numbers are told to what one reads of them", () => {
  expect([digitsOf([1, 2]), digitsOf([0.5]), digitsOf([2.86]), digitsOf([123.4]), digitsOf([4000.5])]).toEqual([0, 3, 2, 1, 0]);
});

test("a table has a column for each, empty where nothing is known", () => {
  const { header, cells } = trackColumns({ "a.M.P": track([0, 20_000], [1.25, 2]), "a.M.Q x;y": track([], [], { unit: "" }) });
  expect(header).toEqual(["a.M.P_(bar)", "a.M.Q_x_y"]);
  expect(cells(25_000)).toEqual(["2", ""]);
  expect(cells(1e9)).toEqual(["", ""]);
});

test("a signal stands below its curve, on the same time axis", () => {
  expect(alongside([[-1, 0, 1, 2, 3], [5, 6, null, 8, 9]], [-0.5, 2.5])).toEqual([
    [-0.5, 0, 1, 2, 2.5],
    [null, 6, null, 8, null],
  ]);
});

test("beside an axis is the signal alone", () => {
  expect(axisTitle("a.M.Pressure", "bar")).toBe("Pressure bar");
  expect(axisTitle("Mode", "")).toBe("Mode");
});
