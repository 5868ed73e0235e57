import { beforeAll, expect, test, vi } from "vitest";

vi.stubGlobal("window", { matchMedia: () => ({ matches: false }) });
vi.stubGlobal("location", { protocol: "http:", host: "localhost", hostname: "localhost" });
let read: typeof import("../src/arrays/terms").read;
let wantedOf: typeof import("../src/arrays/terms").wantedOf;
let signalsOf: typeof import("../src/arrays/sources").signalsOf;

beforeAll(async () => {
  ({ read, wantedOf } = await import("../src/arrays/terms"));
  ({ signalsOf } = await import("../src/arrays/sources"));
});

test.each(["", "{", "null", "7", '"x"', '{"source":5,"window":77,"rate":"20"}'])("%j in the browser's drawer is no trouble", (kept) => {
  expect(read(kept)).toEqual({ source: "demo", window: 500, rate: 20, span: 20, loop: false });
});

test("what was chosen is kept", () => {
  const terms = { source: "array:3", window: 1000, rate: 5, span: 50, loop: true };
  expect(read(JSON.stringify(terms))).toEqual(terms);
});

test("of a live source all points that are shown are asked for, of an array a piece", () => {
  const terms = { source: "les02.velocity", window: 1000, rate: 5, span: 50, loop: true };
  expect(wantedOf(terms)).toEqual({ source: "les02.velocity", window: 1000, rate: 5 });
  expect(wantedOf({ ...terms, source: "array:3" })).toEqual({ source: "array:3", window: 20, rate: 5, loop: true });
});

test("signals are found by their bus", () => {
  const found = signalsOf([
    { source: "demo" },
    { source: "signal:inverter.Oil.Pressure", unit: "bar" },
    { source: "array:3", name: "signal:inverter" },
    { source: "signal:lift.Door.State", unit: "" },
    { source: "signal:inverter.Oil.Temperature", unit: "°C" },
  ]);
  expect(found).toEqual({
    inverter: [
      { source: "signal:inverter.Oil.Pressure", name: "Oil.Pressure", unit: "bar" },
      { source: "signal:inverter.Oil.Temperature", name: "Oil.Temperature", unit: "°C" },
    ],
    lift: [{ source: "signal:lift.Door.State", name: "Door.State", unit: "" }],
  });
});
