import { expect, test } from "vitest";
import { colourOf, painted } from "../src/arrays/colours";
import type { Plan } from "../src/arrays/look";
import { beginningOf, closer, curvesOf, CURVE_VALUES, fieldsOf, gridOf, isPlain, lengthOf, merged, numbersOf, PICTURE_VALUES, planOf, sliceOf, tableOf, textOfValue } from "../src/arrays/look";

const F8 = 8;

function planned(shape: number[], dtype = "float64", octets = F8): Plan {
  return planOf(shape, dtype, octets * shape.reduce((product, each) => product * each, 1));
}

test.each<[number[], string, Plan["kind"], string]>([
  [[100], "float64", "curves", "0:100"],
  [[10_000], ">i4", "curves", "0:10000"],
  [[10_001], "uint8", "curves", "0:10001:2"],
  [[62_500_000], "float64", "curves", "0:62500000:6250"],
  [[5000, 2], "float32", "curves", "0:5000"],
  [[100_000, 4], "float64", "curves", "0:100000:40"],
  [[3, 20_000], "float64", "curves", "0:20000:7"],
  [[1, 62_500_000], "float64", "curves", "0:62500000:6250"],
  [[100, 50], "float64", "picture", "0:100"],
  [[1000, 1000], "float64", "picture", "0:1000:4"],
  [[50, 480, 640], "uint8", "picture", "0:1"],
  [[50, 48, 64], "uint8", "picture", "0:1"],
  [[10, 1_000_000], "float64", "picture", "0:10"],
  [[10, 5, 1_000_000], "float64", "beginning", "0:1"],
  [[100], "complex128", "table", "0:20"],
  [[100], "bool", "table", "0:20"],
  [[5, 4], "datetime64[ns]", "table", "0:5"],
  [[100, 5000], "complex64", "table", "0:2"],
  [[100], "[('a', '<i4'), ('b', '<f8')]", "table", "0:20"],
])("of %j %s it shows %s of the rows %s", (shape, dtype, kind, rows) => {
  const plan = planned(shape, dtype);
  expect(plan.kind).toBe(kind);
  expect("rows" in plan && sliceOf(plan.rows)).toBe(rows);
});

test.each([
  [[100, 50], "0:50"],
  [[1000, 1000], "0:1000:4"],
  [[10, 1_000_000], "0:1000000:100"],
  [[1_000_000, 100], "0:100"],
  [[50, 480, 640], "0:480:4"],
  [[5, 4, 3, 2], "0:1"],
])("of %j a picture has the columns %s", (shape, cols) => {
  const plan = planned(shape);
  expect(plan.kind === "picture" && sliceOf(plan.cols)).toBe(cols);
});

test("one value has no rows, none has nothing to show", () => {
  expect(planned([])).toEqual({ kind: "value" });
  expect(planned([0])).toEqual({ kind: "empty" });
  expect(planned([5, 0, 3])).toEqual({ kind: "empty" });
});

test("what has large rows of text is not asked for", () => {
  expect(planned([10], "<U100000", 400_000)).toEqual({ kind: "too_wide" });
  expect(planned([10, 20_000], "complex128", 16)).toEqual({ kind: "too_wide" });
  expect(planned([10], "<U10000", 40_000)).toMatchObject({ kind: "table", rows: { to: 5 } });
});

test("the layer that is asked for is shown, as far as there is one", () => {
  expect(planOf([5, 8, 9], "uint8", 360, 3)).toMatchObject({ rows: { from: 3, to: 4 }, layers: 5 });
  expect(planOf([5, 8, 9], "uint8", 360, 99)).toMatchObject({ rows: { from: 4, to: 5 } });
});

test("whatever the shape, no more values are asked for than a page can hold", () => {
  for (const rows of [1, 2, 7, 999, 10_001, 123_456, 62_500_000]) {
    for (const wide of [1, 2, 7, 101, 9999, 100_000, 100_001, 1_000_000]) {
      for (const shape of [[rows], [rows, wide], [rows, wide, 3], [3, rows, wide]]) {
        const plan = planned(shape);
        if (!("rows" in plan)) continue;
        const across = plan.kind === "curves" && plan.across;
        const cols = plan.kind === "picture" ? lengthOf(plan.cols) : across ? shape[0]! : (shape[1] ?? 1);
        const asked = lengthOf(plan.rows) * cols * shape.slice(2).reduce((product, each) => product * each, 1);
        if (plan.kind !== "beginning") expect(asked).toBeLessThanOrEqual(shape.length === 1 ? CURVE_VALUES : PICTURE_VALUES);
        expect(asked).toBeGreaterThan(0);
      }
    }
  }
});

test.each([["float16", true], ["float128", true], [">u2", true], ["int64", true], ["bool", false], ["complex64", false], ["<c16", false], ["<U4", false], ["|S4", false], ["datetime64[ms]", false], ["timedelta64", false], ["|V8", false], ["[('a', '<i4')]", false]])("%s is drawn: %s", (dtype, drawn) => {
  expect(isPlain(dtype)).toBe(drawn);
});

test("a curve has the numbers of its rows, and a hole where no number is", () => {
  expect(curvesOf([1, "NaN", 3, "Infinity"], { from: 0, to: 40, step: 10 }, false)).toEqual({ columns: [[0, 10, 20, 30], [1, null, 3, null]], odd: 2 });
  expect(curvesOf([[1, 2], [3, 4], [5, 6]], { from: 0, to: 3, step: 1 }, false).columns).toEqual([[0, 1, 2], [1, 3, 5], [2, 4, 6]]);
  expect(curvesOf([[1, 2, 3], [4, 5, 6]], { from: 0, to: 2, step: 1 }, true).columns).toEqual([[0, 1, 2], [1, 2, 3], [4, 5, 6]]);
});

test.each([
  ['{"shape":[1,9],"dtype":"float64","data":[[1.5,2.5,3.', [1.5, 2.5]],
  ['{"shape":[1,3],"dtype":"float64","data":[[1.5,2.5,3.5]]}', [1.5, 2.5, 3.5]],
  ['{"shape":[1,2,9],"dtype":"float64","data":[[[1,"NaN",3],[4,5', [1, "NaN", 3]],
  ['{"shape":[1,9],"dtype":"float64","data":[[1', []],
  ['{"shape":[1,9],"dtype":"float64","data":[[1,2,3,4,5,6,', [1, 2, 3, 4, 5]],
])("of %s it reads what is whole", (text, numbers) => {
  expect(beginningOf(text, 5)).toEqual(numbers);
});

test("a picture has its least and its most, and no colour where no number is", () => {
  const grid = gridOf([[0, 5], ["NaN", 10]], 2);
  expect(grid).toMatchObject({ width: 2, height: 2, low: 0, high: 10, odd: 1 });
  const colours = painted(grid);
  expect([...colours.slice(0, 4)]).toEqual([...colourOf(0), 255]);
  expect([...colours.slice(8, 12)]).toEqual([0, 0, 0, 0]);
  expect([...colours.slice(12)]).toEqual([...colourOf(1), 255]);
  expect(gridOf([[[1, 2], [3, 4]]], 3)).toMatchObject({ width: 2, height: 2, low: 1, high: 4 });
  expect(gridOf([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]], 4)).toMatchObject({ width: 2, height: 2, high: 4 });
  expect([...painted(gridOf([[7]], 2)).slice(3)]).toEqual([255]);
});

test("colours get brighter with the value", () => {
  const light = Array.from({ length: 11 }, (_, index) => colourOf(index / 10)).map(([r, g, b]) => 0.3 * r + 0.6 * g + 0.1 * b);
  expect(light).toEqual([...light].sort((one, other) => one - other));
});

test("the numbers are told of what there is", () => {
  expect(numbersOf([1, null, 3, NaN])).toEqual({ count: 2, low: 1, high: 3, mean: 2, deviation: 1 });
  expect(numbersOf([null])).toBeNull();
});

test.each<[unknown, string, string]>([
  [true, "bool", "true"],
  ["2026-01-01T00:00:00", "datetime64[s]", "2026-01-01T00:00:00"],
  ["NaT", "timedelta64[s]", "NaT"],
  [[1.5, -2], "complex128", "1.5 − 2 i"],
  [["NaN", "Infinity"], ">c8", "NaN + Infinity i"],
  [[1, [2, "x"]], "[('a', '<i4')]", "(1, (2, x))"],
])("%j of %s is read as %s", (value, dtype, text) => {
  expect(textOfValue(value, dtype)).toBe(text);
});

test.each([
  ["[('a', '<i4'), ('b', '<f8')]", ["a", "b"]],
  ["[('time', '<f8'), ('at', [('x', '<f4'), ('y', '<f4')]), ('name', '<U5', (3,))]", ["time", "at", "name"]],
  ["{'names': ['a', 'b'], 'formats': ['<i4', '<f8'], 'offsets': [0, 8], 'itemsize': 16}", ["a", "b"]],
  ["float64", []],
])("the fields of %s are %j", (dtype, fields) => {
  expect(fieldsOf(dtype)).toEqual(fields);
});

test("a table of records has their fields as columns, others their numbers", () => {
  expect(tableOf({ shape: [2], dtype: "[('a', '<i4'), ('b', '<U3')]", data: [[1, "one"], [2, "two"]] })).toEqual({
    head: ["a", "b"],
    rows: [{ number: 0, cells: ["1", "one"] }, { number: 1, cells: ["2", "two"] }],
    more: 0,
  });
  expect(tableOf({ shape: [2], dtype: "complex64", data: [[1, 2], [3, 4]] }).rows).toEqual([
    { number: 0, cells: ["1 + 2 i"] },
    { number: 1, cells: ["3 + 4 i"] },
  ]);
  expect(tableOf({ shape: [1, 20], dtype: "bool", data: [new Array(20).fill(true)] })).toMatchObject({ more: 8 });
});

test("of what is zoomed into more rows are asked for, as long as there are more", () => {
  const rows = { from: 0, to: 2_000_000, step: 200 };
  expect(closer(rows, [1000.4, 100_999.2], 1)).toEqual({ from: 1000, to: 101_001, step: 11 });
  expect(closer(rows, [1000.4, 1100.2], 1)).toEqual({ from: 1000, to: 1102, step: 1 });
  expect(closer(rows, [-50, 1_999_999], 1)).toBeNull();
  expect(closer(rows, [1_999_000, 3_000_000], 2)).toEqual({ from: 1_999_000, to: 2_000_000, step: 1 });
  expect(closer({ from: 0, to: 100, step: 1 }, [10, 20], 1)).toBeNull();
});

test.each<[(number | null)[], (number | null)[]]>([
  [[15, 16, 17], [0, 10, 15, 16, 17, 20, 30]],
  [[10, 11, 20], [0, 10, 11, 20, 30]],
  [[0, 5], [0, 5, 10, 20, 30]],
  [[25, 30, 35], [0, 10, 20, 25, 30, 35]],
])("%j is put in its place in the whole", (part, places) => {
  const whole = [[0, 10, 20, 30], [1, 1, 1, 1]];
  expect(merged(whole, [part, part.map(() => 2)])[0]).toEqual(places);
});
